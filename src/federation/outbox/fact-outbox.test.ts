import { describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { SeededRandom } from "../../base/random.ts";
import { closedRange, parseAuditEvent } from "../audit/audit-chain.ts";
import { performGroup } from "./group-commit.ts";
import { factOutbox } from "./fact-outbox.ts";
import { type Outbox, memoryOutbox } from "./outbox.ts";
import { OutboxStore } from "./outbox-store.ts";

const CAP_BYTES = 200_000;

/** Every event that the log holds, in order. */
async function held(outbox: Outbox): Promise<readonly ReturnType<typeof parseAuditEvent>[]> {
  const { epoch } = await outbox.auditCursor();
  const found = [];
  for (let from = 1n; ;) {
    const run = await outbox.loadAudit(epoch, from, 1_000, 1 << 30);
    const last = run.at(-1);
    if (last === undefined) return found;
    found.push(...run.map(({ event }) => parseAuditEvent(event)));
    from = last.sequence + 1n;
  }
}

describe("audit events on their way into a log that nobody takes from", () => {
  it("accounts for every allow: kept, sampled away and counted, or dropped and counted; every deny is kept", async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1));
    const random = new SeededRandom(1);
    const outbox = memoryOutbox(clock, random, { auditCap: { capBytes: CAP_BYTES, reserveBytes: 50_000 } });
    const listener = { factPending: () => {}, auditAppended: () => {} };
    const facts = factOutbox({ cluster: "t1", outbox, listener, clock, random });
    const allows = 6_000;
    for (let i = 0; i < allows; i++) {
      await facts.audit({ action: "authz.decision", decision: "allow", i });
      if (i % 100 === 0) await facts.audit({ action: "authz.decision", decision: "deny", i });
    }
    // The hub comes back and takes everything: the next event brings the last count with it.
    const all = [...(await held(outbox))];
    const { epoch, last } = await outbox.auditCursor();
    await outbox.apply([{ type: "AcknowledgeAudit", epoch, through: last }]);
    for (let i = 0; i < 11; i++) await facts.audit({ action: "authz.decision", decision: "deny", i: -1 });
    all.push(...(await held(outbox)));
    const count = (action: string): number =>
      all.filter((event) => event["action"] === action).reduce((sum, event) => sum + Number(event["count"]), 0);
    const kept = all.filter(({ decision }) => decision === "allow").length;
    expect(count("audit.sampled")).toBeGreaterThan(0);
    expect(count("audit.dropped")).toBeGreaterThan(0);
    // A dropped record speaks for its numbers, the places of records it has swallowed among them.
    const dropped = all.flatMap((event) => (event["action"] === "audit.dropped" ? [closedRange(event)] : []));
    expect(dropped.every((range) => range !== undefined)).toBe(true);
    expect(kept + count("audit.sampled") + count("audit.dropped")).toBe(allows);
    expect(all.filter(({ decision }) => decision === "deny")).toHaveLength(allows / 100 + 11);
    await outbox.close();
  });

  it("answers each event of a group for itself when some do not fit", () => {
    const store = OutboxStore.open({
      path: ":memory:",
      storeId: "s",
      auditEpoch: 1n,
      auditCap: { capBytes: 1_000, reserveBytes: 200 },
    });
    const event = Buffer.from(JSON.stringify({ text: "x".repeat(300) }));
    const events = Array.from({ length: 5 }, (_, i) => ({ event, droppable: i === 4 }));
    const [outcome] = performGroup(store, [{ op: "appendAudit", events, nowMs: 0 }]);
    expect(outcome).toMatchObject({
      ok: true,
      value: { last: 2n, refused: [{ at: 2 }, { at: 3 }, { at: 4, parts: { reason: "AuditLogFull" } }] },
    });
    expect(store.auditCursor().last).toBe(2n);
    store.close();
  });
});
