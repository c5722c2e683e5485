import { describe, it } from "vitest";
import { realServerAssets } from "../support/real-api-server.ts";
import { accessConformance } from "./access-conformance.ts";
import { embeddedAccess, realAccess } from "./access-target.ts";

accessConformance("the embedded cluster", embeddedAccess);

const assets = realServerAssets();
if (assets !== undefined) accessConformance("kube-apiserver", () => realAccess(assets));
if (assets === undefined)
  describe("access on kube-apiserver", () => {
    it("is skipped: no real server here, set KUBEBUILDER_ASSETS (.ci/real-parts)", (context) => {
      context.skip();
    });
  });
