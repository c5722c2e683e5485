import { SeamError } from "../../base/errors.ts";
import { describe, expect, it } from "vitest";
import { CHAIN_START, auditHash, closedRange, parseAuditEvent } from "../audit/audit-chain.ts";
import type { AuditCap, HeldAuditEvent } from "./audit-log.ts";
import { OutboxStore } from "./outbox-store.ts";

const EPOCH = 1_700_000_000n;

function store(auditCap?: AuditCap): OutboxStore {
  return OutboxStore.open({
    path: ":memory:",
    storeId: "store",
    auditEpoch: EPOCH,
    ...(auditCap === undefined ? {} : { auditCap }),
  });
}

function event(text: string): Buffer {
  return Buffer.from(JSON.stringify({ text }));
}

/** Appends one event and returns its number. @throws what refused it */
function append(to: OutboxStore, event: Uint8Array, droppable: boolean, nowMs: number): bigint {
  const { last, refused } = to.appendAudit([{ event, droppable }], nowMs);
  for (const { parts } of refused) throw new SeamError(parts);
  return last;
}

function all(from: OutboxStore): readonly HeldAuditEvent[] {
  const events: HeldAuditEvent[] = [];
  let next = 1n;
  for (;;) {
    const run = from.loadAudit(EPOCH, next, 1000, 1 << 30);
    const last = run.at(-1);
    if (last === undefined) return events;
    events.push(...run);
    next = last.sequence + 1n;
  }
}

/** Follows the chain over every held event, across records that stand for dropped ones. */
function verifyChain(events: readonly HeldAuditEvent[]): bigint {
  let previous: Uint8Array = CHAIN_START;
  let next = 1n;
  for (const { sequence, event: bytes, hash, prevHash } of events) {
    expect(sequence).toBe(next);
    expect(Buffer.from(prevHash).equals(previous)).toBe(true);
    expect(Buffer.from(hash).equals(auditHash(prevHash, sequence, bytes))).toBe(true);
    const parsed = parseAuditEvent(bytes);
    const range = closedRange(parsed);
    const dropped = parsed["action"] === "audit.dropped" && range !== undefined;
    next = dropped ? range.to + 1n : sequence + 1n;
    const { lastHash } = parsed;
    previous = dropped && typeof lastHash === "string" ? Buffer.from(lastHash, "hex") : hash;
  }
  return next - 1n;
}

describe("audit log", () => {
  it("W21: numbers without gaps and chains", () => {
    const log = store();
    for (let i = 0; i < 10; i++) append(log, event(`e${i}`), false, 0);
    expect(log.auditCursor()).toMatchObject({ epoch: EPOCH, ackedThrough: 0n, firstHeld: 1n, last: 10n });
    expect(verifyChain(all(log))).toBe(10n);
  });

  it("gives consecutive events within count and bytes, at least one", () => {
    const log = store();
    for (let i = 0; i < 10; i++) append(log, event("x".repeat(100)), false, 0);
    expect(log.loadAudit(EPOCH, 3n, 4, 1 << 20).map(({ sequence }) => sequence)).toEqual([3n, 4n, 5n, 6n]);
    expect(log.loadAudit(EPOCH, 3n, 4, 1)).toHaveLength(1);
    expect(log.loadAudit(EPOCH + 1n, 3n, 4, 1 << 20)).toEqual([]);
    expect(log.loadAudit(EPOCH, 11n, 4, 1 << 20)).toEqual([]);
  });

  it("forgets acknowledged events and never moves back", () => {
    const log = store();
    for (let i = 0; i < 5; i++) append(log, event(`e${i}`), false, 0);
    log.apply([{ type: "AcknowledgeAudit", epoch: EPOCH, through: 3n }], 0);
    log.apply([{ type: "AcknowledgeAudit", epoch: EPOCH, through: 2n }], 0);
    log.apply([{ type: "AcknowledgeAudit", epoch: EPOCH - 1n, through: 5n }], 0);
    expect(log.auditCursor()).toMatchObject({ ackedThrough: 3n, firstHeld: 4n, last: 5n });
    log.apply([{ type: "AcknowledgeAudit", epoch: EPOCH, through: 5n }], 0);
    expect(log.auditCursor()).toMatchObject({ firstHeld: 6n, last: 5n, backlogBytes: 0n });
  });

  it("moves what it holds behind numbers the hub has seen, with a chain and records of dropped events that are right there", () => {
    const log = store({ capBytes: 20_000, reserveBytes: 2_000 });
    let last = 0n;
    for (let i = 0; i < 400; i++) last = append(log, event(`${i}`.padStart(60, "x")), i % 10 !== 0, 0);
    const before = all(log);
    log.apply([{ type: "MoveAudit", epoch: EPOCH, by: 1_000n }], 0);
    log.apply([{ type: "MoveAudit", epoch: EPOCH - 1n, by: 1_000n }], 0);
    const after = all(log);
    expect(after.map(({ sequence }) => sequence - 1_000n)).toEqual(before.map(({ sequence }) => sequence));
    expect(log.auditCursor()).toMatchObject({ ackedThrough: 0n, firstHeld: 1_001n, last: last + 1_000n });
    let next = 1_001n;
    let previous: Uint8Array = CHAIN_START;
    for (const { sequence, event: bytes, hash, prevHash } of after) {
      expect(sequence).toBe(next);
      expect(Buffer.from(prevHash).equals(previous)).toBe(true);
      expect(Buffer.from(hash).equals(auditHash(prevHash, sequence, bytes))).toBe(true);
      const parsed = parseAuditEvent(bytes);
      const { lastHash } = parsed;
      next = (closedRange(parsed)?.to ?? sequence) + 1n;
      previous = typeof lastHash === "string" ? Buffer.from(lastHash, "hex") : hash;
    }
    expect(append(log, event("next"), false, 0)).toBe(last + 1_001n);
    expect(all(log).at(-1)?.prevHash).toEqual(previous);
  });

  it("explains a hole", () => {
    const log = store();
    append(log, event("a"), false, 0);
    log.apply(
      [
        { type: "MoveAudit", epoch: EPOCH, by: 9n },
        { type: "AppendAuditGap", epoch: EPOCH, from: 2n, to: 9n },
      ],
      Date.UTC(2026, 0, 1),
    );
    const [moved, gap] = log.loadAudit(EPOCH, 2n, 10, 1 << 20);
    expect([moved?.sequence, Buffer.from(moved?.event ?? [])]).toEqual([10n, event("a")]);
    expect(gap?.sequence).toBe(11n);
    expect(closedRange(parseAuditEvent(gap?.event ?? new Uint8Array()))).toEqual({ from: 2n, to: 9n });
  });

  it("drops the oldest allow events first at the cap, leaves counted records and a chain that can be followed", () => {
    const log = store({ capBytes: 20_000, reserveBytes: 2_000 });
    let last = 0n;
    for (let i = 0; i < 400; i++) last = append(log, event(`${i}`.padStart(60, "x")), i % 10 !== 0, 0);
    expect(log.status().auditPressure).toBe("full");
    expect(Number(log.auditCursor().backlogBytes)).toBeLessThanOrEqual(20_000);
    const events = all(log);
    expect(verifyChain(events)).toBe(last);
    const kept = events.filter(({ event: bytes }) => parseAuditEvent(bytes)["action"] === undefined);
    const denies = kept.filter(({ sequence }) => (sequence - 1n) % 10n === 0n);
    expect(denies).toHaveLength(40);
    expect(log.status().auditDropped).toBe(400 - kept.length);
  });

  it("refuses what may not be dropped only at the hard limit", () => {
    const log = store({ capBytes: 5_000, reserveBytes: 1_000 });
    let accepted = 0;
    const fill = (): void => {
      for (; accepted < 1_000; accepted++) append(log, event("x".repeat(50)), false, 0);
    };
    expect(fill).toThrow(/audit log: at most 6000 bytes that no hub has acknowledged; restore the connection/);
    expect(accepted).toBeGreaterThan(30);
    expect(log.auditCursor().last).toBe(BigInt(accepted));
    expect(() => append(log, event("allow"), true, 0)).toThrow(/at most 5000 bytes/);
  });
});
