import { expect, it, onTestFinished, vi } from "vitest";
import { RecordedMetrics } from "../../../test/support/recorded-metrics.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import type { AuditLogState } from "../spoke/ports.ts";
import { AuditPressureWatch } from "./audit-pressure-watch.ts";
import { memoryOutbox } from "./outbox.ts";
import { ReopeningOutbox } from "./reopening-outbox.ts";

const CAP = 20_000;

it("tells each pressure once, from the cap to what acknowledgements free", async () => {
  const inner = memoryOutbox(systemClock, new SeededRandom(1), {
    auditCap: { capBytes: CAP, reserveBytes: 2_000 },
  });
  onTestFinished(() => inner.close());
  const metrics = new RecordedMetrics();
  const told: AuditLogState[] = [];
  const watch = new AuditPressureWatch({
    outbox: inner,
    capBytes: CAP,
    metrics,
    told: (state) => void told.push(state),
  });
  const { outbox } = watch;
  await watch.look();
  const append = async (droppable: boolean): Promise<bigint> => {
    const appended = await outbox.appendAudit(Buffer.from(`{"text":"${"x".repeat(300)}"}`), droppable);
    watch.appended(appended);
    return appended.last;
  };
  let last = 0n;
  for (let n = 0; n < 60; n++) last = await append(true);
  expect(told.map(({ pressure }) => pressure)).toEqual(["normal", "nearFull", "full"]);
  expect(told.at(-1)).toMatchObject({ capBytes: CAP });

  const { epoch } = await outbox.auditCursor();
  await outbox.apply([{ type: "AcknowledgeAudit", epoch, through: last - 20n }]);
  await vi.waitFor(() => expect(told.at(-1)?.pressure).toBe("normal"), { timeout: 15_000 });
  expect(told).toHaveLength(4);
  expect(told.at(-1)?.dropped).toBeGreaterThan(0);
});

it("counts as full at the cap also when nothing in the log may be dropped", async () => {
  const inner = memoryOutbox(systemClock, new SeededRandom(1), {
    auditCap: { capBytes: CAP, reserveBytes: 2_000 },
  });
  onTestFinished(() => inner.close());
  const event = Buffer.from(`{"text":"${"x".repeat(300)}"}`);
  let pressure = "";
  for (let n = 0; n < 51; n++) ({ pressure } = await inner.appendAudit(event, false));
  expect(pressure).toBe("full");
  for (let n = 0; n < 10; n++) await inner.appendAudit(event, false).catch(() => undefined);
  await expect(inner.appendAudit(event, false)).rejects.toThrow(/raise WAL_MAX_BYTES/);
});

it("passes on everything that a store can do, whatever it is made of", () => {
  const inner = memoryOutbox(systemClock, new SeededRandom(1));
  const reopening = new ReopeningOutbox({
    directory: "/nowhere",
    clock: systemClock,
    random: new SeededRandom(1),
    open: async () => inner,
    told: () => {},
    log: silentLog,
    signal: new AbortController().signal,
  });
  onTestFinished(() => reopening.close());
  const { outbox } = new AuditPressureWatch({
    outbox: reopening,
    capBytes: CAP,
    metrics: new RecordedMetrics(),
    told: () => {},
  });
  expect(Object.keys(outbox)).toEqual(expect.arrayContaining(Object.keys(inner)));
});
