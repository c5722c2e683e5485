import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestTenantCluster, openTenantCluster } from "../../../../test/support/tenant-cluster.ts";
import { Event } from "../../../api/builtin.ts";
import { unknownConditions } from "../../../api/condition-vocabulary.ts";
import { findCondition } from "../../../api/conditions.ts";
import { RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { SeededRandom } from "../../../base/random.ts";
import { type LocalStatus, startLocalStatus } from "./local-status.ts";

const PATIENT = { timeout: 20_000, interval: 20 };
const MIB = 1024 * 1024;
const stop = new AbortController();
let tenant: TestTenantCluster;
let status: LocalStatus;

beforeAll(async () => {
  tenant = await openTenantCluster({ nodes: false });
  await tenant.cluster.create(RunnerConfig, {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "RunnerConfig",
    metadata: { name: "tenant-1", namespace: "ont-system" },
    spec: { clusterRef: "tenant-1", runnerImage: "conductor:dev" },
  });
  status = startLocalStatus({
    clusterId: "tenant-1",
    cluster: tenant.cluster,
    agent: { version: "1", leader: "tenant-1-0", capabilities: [] },
    clock: systemClock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
  });
});

afterAll(async () => {
  stop.abort();
  await status.closed;
  await tenant.close();
});

const sound = { unavailable: undefined, corrupt: undefined } as const;
const config = () => tenant.cluster.get(RunnerConfig, { namespace: "ont-system", name: "tenant-1" });
const said = (type: string) =>
  expect.poll(async () => {
    const condition = findCondition((await config()).status?.conditions, type);
    return `${condition?.status} ${condition?.reason}`;
  }, PATIENT);
const told = () =>
  expect.poll(async () => (await tenant.cluster.list(Event)).items.map(({ reason }) => reason ?? "").sort(), PATIENT);

describe("local status", () => {
  it("sets and clears the conditions of the audit log, with what to do, beside those of the channel", async () => {
    status.channel({ connected: false, reason: "HeartbeatMissed" });
    status.auditLog({
      ...sound,
      pressure: { pressure: "nearFull", backlogBytes: 92 * MIB, capBytes: 100 * MIB, dropped: 0 },
    });
    await said("AuditWALNearFull").toBe("True SamplingAllows");
    await said("AuditWALFull").toBe("False RoomEnough");
    await said("FederationChannelDegraded").toBe("True HeartbeatMissed");

    status.auditLog({
      ...sound,
      pressure: { pressure: "full", backlogBytes: 99.6 * MIB, capBytes: 100 * MIB, dropped: 1_234 },
    });
    await said("AuditWALFull").toBe("True DroppingAllows");
    const full = findCondition((await config()).status?.conditions, "AuditWALFull");
    expect(full?.message).toBe(
      "100 of 100 MiB of audit events wait for the hub; the oldest allowed decisions are dropped, 1234 since this store was made, and denies are kept until nothing else is left; restore the channel (condition FederationChannelDegraded, MGMT_FEDERATION_ADDR), or raise WAL_MAX_BYTES",
    );
    expect(unknownConditions(await config())).toEqual([]);

    status.channel({ connected: true, reason: "" });
    status.auditLog({
      ...sound,
      pressure: { pressure: "normal", backlogBytes: 0, capBytes: 100 * MIB, dropped: 1_234 },
    });
    await said("AuditWALFull").toBe("False RoomEnough");
    await said("AuditWALNearFull").toBe("False RoomEnough");
    await said("FederationChannelDegraded").toBe("False Recovered");
    await told().toEqual([
      "AuditWALFull",
      "AuditWALNearFull",
      "AuditWALRecovered",
      "FederationChannelDegraded",
      "FederationChannelRecovered",
    ]);
  });

  it("says when the log cannot be opened, and what is left of a damaged one, until it is open and that is taken away", async () => {
    const unavailable = {
      reason: "StoreUnwritable",
      detail: "/var/lib/wal/outbox.db: a directory this process may write",
    };
    const recovery = {
      quarantined: "/wal/outbox.db.bad-1",
      numbering: "continued",
      salvagedEvents: 40,
      lostEvents: 3,
    } as const;
    status.auditLog({ pressure: undefined, unavailable, corrupt: { path: recovery.quarantined, recovery } });
    await said("AuditWALUnavailable").toBe("True StoreUnwritable");
    await said("AuditWALCorrupt").toBe("True NumberingContinued");
    const { status: shown } = await config();
    expect(unknownConditions(await config())).toEqual([]);
    expect(findCondition(shown?.conditions, "AuditWALUnavailable")?.message).toBe(
      "/var/lib/wal/outbox.db: a directory this process may write; at most 1,000 audit events wait in memory, further ones are counted, and the agent does not reach the hub; opening is tried again every 30 s",
    );
    expect(findCondition(shown?.conditions, "AuditWALCorrupt")?.message).toBe(
      "the agent's store was damaged and put aside; 40 audit events were read out of it, 3 are lost and an audit.gap stands in their place; check the disk, keep what you need of /wal/outbox.db.bad-1 and remove it",
    );
    status.auditLog({ ...sound, pressure: undefined });
    await said("AuditWALUnavailable").toBe("False Opened");
    await said("AuditWALCorrupt").toBe("False NothingQuarantined");
  });
});
