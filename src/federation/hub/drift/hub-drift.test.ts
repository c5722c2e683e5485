import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../../../test/support/management-cluster.ts";
import {
  DriftedResource_Change,
  type DriftReport,
  DriftReportSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { findCondition } from "../../../api/conditions.ts";
import { DriftSignal } from "../../../api/kinds/drift-signal.ts";
import { PackDelivery } from "../../../api/kinds/pack-delivery.ts";
import { PackInstalled } from "../../../api/kinds/pack-installed.ts";
import { ManualClock } from "../../../base/clock.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { hubDrift, type HubDrift } from "./hub-drift.ts";

/** A busy machine is no failure. */
const PATIENT = { timeout: 20_000, interval: 5 };
const NAMESPACE = "seam-tenant-east";
const DIGEST = `sha256:${"a".repeat(64)}`;

describe("hubDrift", () => {
  let management: TestManagementCluster;
  let clock: ManualClock;
  let hub: HubDrift;
  let stop: AbortController;
  let pack = 0;
  let name = "";

  beforeAll(async () => {
    management = await openManagementCluster();
    await management.addTenant("east");
  });
  afterAll(() => management.close());

  beforeEach(async () => {
    clock = new ManualClock();
    stop = new AbortController();
    hub = hubDrift({ cluster: management.cluster, clock, random: systemRandom, log: silentLog, signal: stop.signal });
    name = `hello${++pack}-east`;
    await management.cluster.create(PackDelivery, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "PackDelivery",
      metadata: { name: `hello${pack}-v1`, namespace: "seam-system" },
      spec: { version: "v1", registryRef: { url: "packs.local/hello", digest: DIGEST }, targetClusters: ["east"] },
    });
    await management.cluster.create(PackInstalled, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "PackInstalled",
      metadata: { name, namespace: NAMESPACE },
      spec: {
        clusterPackRef: `hello${pack}-v1`,
        clusterPackNamespace: "seam-system",
        version: "v1",
        targetClusterRef: "east",
      },
    });
    return async () => {
      stop.abort();
      await hub.closed;
    };
  });

  const report = (parts: Omit<MessageInitShape<typeof DriftReportSchema>, "$typeName"> = {}): DriftReport =>
    create(DriftReportSchema, {
      signalName: `drift-${name}`,
      driftClass: "PackResources",
      affectedGroup: "seam.ontai.dev",
      affectedKind: "PackDelivery",
      affectedNamespace: "seam-system",
      affectedName: "somebody-elses-pack",
      packInstanceRef: name,
      reason: "Deployment hello/web is missing",
      driftedResources: [
        {
          resource: { apiVersion: "apps/v1", kind: "Deployment", namespace: "hello", name: "web" },
          change: DriftedResource_Change.MISSING,
        },
      ],
      ...parts,
    });
  const get = () => management.cluster.get(DriftSignal, { namespace: NAMESPACE, name: `drift-${name}` });
  /** The corrector: it too reads again when the hub wrote in between. */
  const queue = async (): Promise<void> => {
    const signal = await get();
    const lastAttemptAt = "2026-01-01T00:00:00Z";
    const spec = {
      ...signal.spec,
      state: "queued" as const,
      correctionJobRef: `seam-correction-${name}`,
      lastAttemptAt,
    };
    try {
      await management.cluster.update(DriftSignal, { ...signal, spec });
    } catch (error) {
      if (!isStatus(error, "Conflict")) throw error;
      await queue();
    }
  };
  /** Acknowledged, with the conditions that follow the state. */
  const delivered = () =>
    expect
      .poll(async () => {
        const { spec, status } = await get();
        return `${spec.state} ${findCondition(status?.conditions, "Delivered")?.status}`;
      }, PATIENT)
      .toBe("delivered True");
  const attemptId = async () => {
    const { spec } = await get();
    return `${spec.correlationID}/${(spec.escalationCounter ?? 0) + 1}`;
  };

  it("stores the report before it resolves, then acknowledges; the affected object is the tenant's own delivery", async () => {
    await hub.report("east", report());
    expect((await get()).spec).toMatchObject({
      affectedCRRef: { kind: "PackDelivery", namespace: "seam-system", name: `hello${pack}-v1` },
      driftReason: "Deployment hello/web is missing",
      driftedResources: [
        { apiVersion: "apps/v1", kind: "Deployment", namespace: "hello", name: "web", change: "Missing" },
      ],
      packInstanceRef: name,
      reportedBy: "east",
    });
    await delivered();
    const before = await get();
    await hub.report("east", report());
    expect((await get()).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });

  it("confirms after a successful attempt and keeps the correlation id", async () => {
    await hub.report("east", report());
    await delivered();
    const { correlationID } = (await get()).spec;
    await queue();
    await hub.report(
      "east",
      report({ lastCorrectionId: await attemptId(), lastCorrectionApplied: true, healthy: true, driftedResources: [] }),
    );
    const signal = await get();
    expect(signal.spec).toMatchObject({
      state: "confirmed",
      correlationID,
      escalationCounter: 0,
      driftReason: "Deployment hello/web is missing",
    });
    expect(findCondition(signal.status?.conditions, "Corrected")).toMatchObject({
      status: "True",
      reason: "AttemptSucceeded",
    });
  });

  it("escalates to TerminalDrift on signal, PackInstalled and PackDelivery, and starts afresh when a person asks", async () => {
    await hub.report("east", report());
    for (let attempt = 1; attempt <= 3; attempt++) {
      await delivered();
      await queue();
      await hub.report("east", report({ lastCorrectionId: await attemptId(), lastCorrectionApplied: false }));
    }
    const delivery = { namespace: "seam-system", name: `hello${pack}-v1` };
    const terminal = async () =>
      [
        await get(),
        await management.cluster.get(PackInstalled, { namespace: NAMESPACE, name }),
        await management.cluster.get(PackDelivery, delivery),
      ].map((object) => findCondition(object.status?.conditions, "TerminalDrift")?.status);
    expect((await get()).spec).toMatchObject({ state: "delivered", escalationCounter: 3 });
    expect(await terminal()).toEqual(["True", "True", "True"]);
    await management.cluster.patch(PackDelivery, delivery, {
      type: "merge",
      body: { metadata: { annotations: { "seam.ontai.dev/redeploy": "again" } } },
    });
    await expect
      .poll(async () => {
        await clock.advance(20_000);
        return (await get()).spec.state;
      }, PATIENT)
      .toBe("confirmed");
    await expect.poll(terminal, PATIENT).toEqual(["False", "False", "False"]);
    await hub.report("east", report());
    expect((await get()).spec.escalationCounter).toBe(0);
  });

  it("says when no corrector picks a signal up, and forgets a confirmed one after a day", async () => {
    await hub.report("east", report());
    await delivered();
    await expect
      .poll(async () => {
        await clock.advance(16 * 60_000);
        return findCondition((await get()).status?.conditions, "CorrectorAbsent")?.status;
      }, PATIENT)
      .toBe("True");
    await hub.report("east", report({ healthy: true, driftedResources: [] }));
    expect((await get()).spec.state).toBe("confirmed");
    await expect
      .poll(async () => {
        await clock.advance(25 * 3_600_000);
        return get().then(
          () => "there",
          () => "gone",
        );
      }, PATIENT)
      .toBe("gone");
  });

  it("moves no counter while the channel is degraded", async () => {
    stop.abort();
    await hub.closed;
    stop = new AbortController();
    let degraded = true;
    hub = hubDrift({
      cluster: management.cluster,
      clock,
      random: systemRandom,
      log: silentLog,
      signal: stop.signal,
      degraded: () => degraded,
    });
    await hub.report("east", report());
    await delivered();
    await queue();
    const failed = report({ lastCorrectionId: await attemptId(), lastCorrectionApplied: false });
    await hub.report("east", failed);
    expect((await get()).spec).toMatchObject({ state: "queued", escalationCounter: 0 });
    degraded = false;
    await hub.report("east", failed);
    expect((await get()).spec).toMatchObject({ state: "delivered", escalationCounter: 1 });
  });

  it("tells the agent about every move of its signals, and all of them again when asked", async () => {
    const told: string[] = [];
    const off = hub.subscribe((cluster, { message }) => {
      if (message.case === "driftUpdate" && message.value.signalName === `drift-${name}`)
        told.push(`${cluster} ${message.value.state}`);
    });
    await hub.report("east", report());
    await delivered();
    await queue();
    await hub.report(
      "east",
      report({ lastCorrectionId: await attemptId(), lastCorrectionApplied: true, healthy: true, driftedResources: [] }),
    );
    await expect.poll(() => told.at(-1), PATIENT).toBe("east confirmed");
    off();
    expect(new Set(told)).toEqual(new Set(["east pending", "east delivered", "east queued", "east confirmed"]));
    const again = (await hub.updates("east")).filter(({ key }) => key === `drift/drift-${name}`);
    expect(again).toHaveLength(1);
    expect(again[0]?.message.value).toMatchObject({ state: "confirmed", message: "in sync again" });
    expect(await hub.updates("west")).toEqual([]);
  });

  it("refuses what a tenant may not report", async () => {
    await expect(
      hub.report("east", report({ packInstanceRef: "other-east", signalName: "drift-other-east" })),
    ).rejects.toMatchObject({ reason: "UnknownPack" });
    await expect(hub.report("east", report({ signalName: "drift-x" }))).rejects.toMatchObject({
      reason: "DriftReportInvalid",
    });
    await expect(
      hub.report("east", report({ affectedKind: "TalosCluster", affectedName: "west" })),
    ).rejects.toMatchObject({ reason: "DriftReportInvalid" });
    await expect(hub.report("east", report({ affectedKind: "Secret" }))).rejects.toMatchObject({
      reason: "DriftReportInvalid",
    });
  });

  it("loses nothing when reports and the corrector write at once", async () => {
    await hub.report("east", report());
    await delivered();
    const reports = Array.from({ length: 5 }, (_, i) => hub.report("east", report({ reason: `reason ${i}` })));
    await Promise.all([queue(), ...reports]);
    expect((await get()).spec).toMatchObject({
      state: "queued",
      correctionJobRef: `seam-correction-${name}`,
      escalationCounter: 0,
    });
  });
});
