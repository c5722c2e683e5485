import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import type { ReplicaDirectory } from "./replica-directory.ts";
import type { ReplicaRecord } from "./replica-record.ts";
import { requireNoRival, requireSharedSink } from "./require-shared-sink.ts";

const WAIT_MS = 16_000;

function record(replica: string, auditSink: string): ReplicaRecord {
  return {
    replica,
    identity: `${replica}/p.1`,
    durationMs: 8_000,
    endpoint: "",
    internalEndpoint: "",
    sessions: 0,
    draining: false,
    auditSink,
  };
}

function directory(...alive: ReplicaRecord[]): ReplicaDirectory & { alive_: ReplicaRecord[] } {
  const held = {
    alive_: alive,
    alive: () => held.alive_,
    peers: () => held.alive_,
    byIdentity: (identity: string) => held.alive_.find((each) => each.identity === identity),
    closed: Promise.resolve(),
  };
  return held;
}

describe("one audit sink for all replicas", () => {
  const { signal } = new AbortController();

  it("lets replicas with the same sink in at once, and a restart beside its own former membership", async () => {
    const clock = new ManualClock();
    const others = directory(record("hub-1", "postgres x"), record("hub-2", "postgres x"));
    await requireSharedSink({ replica: "hub-3", auditSink: "postgres x" }, others, WAIT_MS, { clock, signal });
    const own = directory(record("hub-0", "sqlite of hub-0"));
    await requireSharedSink({ replica: "hub-0", auditSink: "sqlite of hub-0" }, own, WAIT_MS, { clock, signal });
  });

  it("waits for a replica that was killed, and refuses to join beside one that stays", async () => {
    const clock = new ManualClock();
    const others = directory(record("hub-old", "sqlite of hub-old"));
    const own = { replica: "hub-new", auditSink: "sqlite of hub-new" };
    const joining = requireSharedSink(own, others, WAIT_MS, { clock, signal });
    await clock.advance(8_000);
    others.alive_ = [];
    await clock.advance(1_000);
    await joining;
    others.alive_ = [record("hub-old", "sqlite of hub-old")];
    const refused = requireSharedSink(own, others, WAIT_MS, { clock, signal }).catch((error: unknown) => String(error));
    await clock.advance(WAIT_MS + 1_000);
    expect(await refused).toBe(
      "SeamError: hub replica hub-new: audit sink: must be the one that replica hub-old stores to (sqlite of hub-old), found sqlite of hub-new; " +
        "a SQLite sink serves one replica: run one, or give all of them the same PostgreSQL (AUDIT_SINK_URL, docs/replicas.md)",
    );
  });

  it("lets one of two in that started in the same moment", async () => {
    const clock = new ManualClock();
    const both = directory(record("hub-a", "sqlite of hub-a"), record("hub-b", "sqlite of hub-b"));
    const rival = (replica: string) =>
      requireNoRival({ replica, auditSink: `sqlite of ${replica}`, identity: `${replica}/p.1` }, both, {
        clock,
        signal,
      });
    await rival("hub-a");
    await expect(rival("hub-b")).rejects.toMatchObject({ reason: "AuditSinkNotShared" });
  });
});
