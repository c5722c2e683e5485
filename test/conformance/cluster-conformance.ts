import { afterAll, beforeAll, describe } from "vitest";
import { admissionCases } from "./cases/admission.ts";
import { applyCases } from "./cases/apply.ts";
import { builtInKindCases } from "./cases/built-in-kinds.ts";
import { crdValidationCases } from "./cases/crd-validation.ts";
import { customResourceCases } from "./cases/custom-resources.ts";
import { deletionCases } from "./cases/deletion.ts";
import { listCases } from "./cases/list.ts";
import { objectCases } from "./cases/objects.ts";
import { patchCases } from "./cases/patch.ts";
import { ruleCases } from "./cases/rules.ts";
import { watchCases } from "./cases/watch.ts";
import { type ConformanceTarget, harnessOf } from "./harness.ts";

/**
 * What every implementation of `Cluster` must do, in one suite: the embedded cluster in process, the same over REST, and a real
 * kube-apiserver. Expectations are what Kubernetes 1.36 answers.
 */
export function clusterConformance(name: string, open: () => Promise<ConformanceTarget>): void {
  describe(name, () => {
    let target: ConformanceTarget | undefined;
    const harness = harnessOf(() => {
      if (!target) throw new Error("the cluster is not open");
      return target;
    });

    beforeAll(async () => {
      target = await open();
    });
    afterAll(async () => {
      await target?.close();
    });

    describe("objects", () => {
      objectCases(harness);
    });
    describe("list", () => {
      listCases(harness);
    });
    describe("watch", () => {
      watchCases(harness);
    });
    describe("patch", () => {
      patchCases(harness);
    });
    describe("server-side apply", () => {
      applyCases(harness);
    });
    describe("custom resources", () => {
      customResourceCases(harness);
      crdValidationCases(harness);
    });
    describe("validation rules", () => {
      ruleCases(harness);
    });
    describe("admission", () => {
      admissionCases(harness);
    });
    describe("built-in kinds", () => {
      builtInKindCases(harness);
    });
    describe("deletion", () => {
      deletionCases(harness);
    });
  });
}
