import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DriftUpdateSchema } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { findCondition } from "../../../api/conditions.ts";
import { openTenantCluster, type TestTenantCluster } from "../../../../test/support/tenant-cluster.ts";
import { TenantPacksRig } from "../../../../test/support/tenant-packs.ts";
import { DriftFeedback } from "./drift-feedback.ts";

const config = `---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: terminal }\ndata: { value: "1" }\n`;

describe("DriftFeedback", () => {
  let tenant: TestTenantCluster;
  let rig: TenantPacksRig;

  beforeAll(async () => {
    tenant = await openTenantCluster();
    rig = await TenantPacksRig.open(tenant);
    await rig.deliver(await rig.pack("terminal", 1, config));
  });
  afterAll(() => tenant.close());

  const say = async (...updates: readonly { readonly state: string; readonly terminal?: boolean }[]) => {
    const feedback = new DriftFeedback(rig.parts);
    for (const { state, terminal = false } of updates)
      feedback.update(
        create(DriftUpdateSchema, { signalName: "drift-terminal", state, terminal, message: `hub says ${state}` }),
      );
    await feedback.settled();
    const receipt = await rig.parts.receipts.get("terminal");
    return findCondition(receipt?.status?.conditions, "TerminalDrift");
  };

  it("marks a receipt that nobody corrects any more, and takes the mark back", async () => {
    expect(await say({ state: "queued" })).toBeUndefined();
    expect(await say({ state: "delivered", terminal: true })).toMatchObject({
      status: "True",
      reason: "EscalationThresholdReached",
      message: "hub says delivered",
    });
    expect(await say({ state: "confirmed" })).toMatchObject({ status: "False", reason: "Reset" });
  });

  it("shows only the newest word on a signal, and survives one about a pack it does not hold", async () => {
    const feedback = new DriftFeedback(rig.parts);
    feedback.update(create(DriftUpdateSchema, { signalName: "drift-unknown", state: "delivered", terminal: true }));
    await feedback.settled();
    expect(await say({ state: "delivered", terminal: true }, { state: "confirmed" })).toMatchObject({
      status: "False",
    });
  });
});
