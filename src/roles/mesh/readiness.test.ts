import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ItemReport_Level } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { AgentSchema, ReceiptSchema } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { meshReadiness } from "./readiness.ts";

const healthyAgent = {
  cluster: "tenant-1",
  connected: true,
  desired: { epoch: 1n, sequence: 4n, digest: "sha256:a" },
  held: { epoch: 1n, sequence: 4n, digest: "sha256:a" },
  items: { desired: 2, received: 2, verified: 2, applied: 2, healthy: 2, quarantined: 0 },
  snapshot: { expectedVersion: "e1.s1.x", acknowledgedVersion: "e1.s1.x", syncStatus: "InSync" },
};
const receipt = create(ReceiptSchema, {
  cluster: "tenant-1",
  name: "hello-tenant-1",
  verified: true,
  acknowledged: true,
  level: ItemReport_Level.HEALTHY,
});

function waiting(agent: object, receipts = [receipt]): readonly string[] {
  return meshReadiness(["tenant-1"], [create(AgentSchema, { ...healthyAgent, ...agent })], receipts, "hello")
    .waitingFor;
}

describe("meshReadiness", () => {
  it("is ready when everything holds", () => {
    expect(waiting({})).toEqual([]);
  });

  it("names what is missing, first things first", () => {
    expect(meshReadiness(["tenant-1"], [], [], undefined).waitingFor).toEqual(["tenant-1 is not registered"]);
    expect(waiting({ connected: false })).toEqual(["tenant-1 is not connected"]);
    expect(waiting({ held: { digest: "sha256:old" } })).toEqual(["tenant-1 has not accepted the newest index"]);
    expect(waiting({ items: { ...healthyAgent.items, quarantined: 1 } })[0]).toContain("refuses 1 item(s)");
    expect(
      waiting({ snapshot: { expectedVersion: "e1.s2.y", acknowledgedVersion: "e1.s1.x", syncStatus: "InSync" } }),
    ).toEqual(["tenant-1 has not acknowledged permission snapshot e1.s2.y"]);
    expect(waiting({}, [])).toEqual(["tenant-1 has no receipt of pack hello"]);
    expect(waiting({ items: { ...healthyAgent.items, healthy: 1 } })).toEqual(["tenant-1 has 1 of 2 items healthy"]);
  });
});
