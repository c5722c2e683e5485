import { describe, expect, it } from "vitest";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { lackingCapability, lackingText } from "../../federation/capability/agent-capability.ts";
import { findItem } from "./find-item.ts";

const web: PackInstalled = {
  apiVersion: "seam.ontai.dev/v1alpha1",
  kind: "PackInstalled",
  metadata: { name: "web-edge", namespace: "seam-tenant-edge" },
  spec: { clusterPackRef: "web-v1", version: "v1", targetClusterRef: "edge" },
};

describe("an item that is in no index", () => {
  const find = (name: string, declared: readonly string[] | undefined, kind = "") =>
    findItem({ cluster: "edge", kind, name }, [], [web], (of) => {
      const lacking = lackingCapability(of, declared);
      return lacking === undefined ? undefined : lackingText(of, lacking, "0.9.0");
    });

  it("is withheld when the agent did not declare what it needs, by whichever name it is asked for", () => {
    const told =
      "item web on edge: the agent (0.9.0) did not declare pack-apply, which PackInstalled needs: it is not sent; run a build of the agent that has it; what it declared: seamctl agents edge -o wide";
    expect(() => find("web", ["permission-service"])).toThrow(told);
    expect(() => find("web-v1", ["permission-service"])).toThrow(/did not declare pack-apply/);
    expect(() => find("web-edge", ["permission-service"], "PackInstalled")).toThrow(/did not declare pack-apply/);
    expect(() => find("snapshot-edge", ["pack-apply"])).toThrow(/did not declare permission-service/);
  });

  it("is unknown otherwise", () => {
    for (const declared of [undefined, [], ["pack-apply", "permission-service"]])
      expect(() => find("web", declared)).toThrow(/must be one of the 0 items of the cluster's index/);
    expect(() => find("other", ["permission-service"])).toThrow(/must be one of the 0 items/);
  });
});
