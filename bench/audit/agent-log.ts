import { fsyncSync, openSync, closeSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { canonicalJson } from "../../src/base/canonical-json.ts";
import { systemRandom } from "../../src/base/random.ts";
import { factOutbox } from "../../src/federation/outbox/fact-outbox.ts";
import { openOutbox } from "../../src/federation/outbox/outbox.ts";
import { median } from "../report/statistics.ts";
import { decision } from "./decision.ts";

/** One way to make events durable on this disk. */
export interface LogFigures {
  readonly what: string;
  readonly inFlight: number;
  readonly perSecond: number;
  /** Against a plain file at the same number in flight. */
  readonly ratio: number;
}

const IN_FLIGHT = [1, 256, 4_096] as const;

/**
 * The agent's log by itself, through the producer's side: encoded, numbered, chained, durable. Beside it the same bytes appended to a
 * plain file with one fsync for as many events as are in flight.
 */
export async function agentLogBench(runs: number, events: number): Promise<readonly LogFigures[]> {
  const figures: LogFigures[] = [];
  for (const inFlight of IN_FLIGHT) {
    // One at a time waits for the disk at every event.
    const count = inFlight === 1 ? Math.ceil(events / 100) : events;
    const file: number[] = [];
    const log: number[] = [];
    for (let run = 0; run < runs; run++) {
      file.push(await plainFile(count, inFlight));
      log.push(await agentLog(count, inFlight));
    }
    figures.push({ what: "plain file, fsync per group", inFlight, perSecond: median(file), ratio: 1 });
    const ratio = median(log.map((mine, run) => mine / (file[run] ?? Number.NaN)));
    figures.push({ what: "agent's audit log", inFlight, perSecond: median(log), ratio });
  }
  return figures;
}

async function plainFile(events: number, group: number): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "bench-file-"));
  const file = openSync(join(directory, "log"), "a");
  const started = performance.now();
  for (let at = 0; at < events; at += group) {
    const size = Math.min(group, events - at);
    writeSync(
      file,
      Buffer.concat(Array.from({ length: size }, (_, i) => Buffer.from(canonicalJson(decision(at + i))))),
    );
    fsyncSync(file);
  }
  const perSecond = (events * 1000) / (performance.now() - started);
  closeSync(file);
  await rm(directory, { recursive: true });
  return perSecond;
}

async function agentLog(events: number, inFlight: number): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "bench-log-"));
  const parts = { clock: systemClock, random: systemRandom };
  const outbox = await openOutbox({ directory, ...parts, auditCap: { capBytes: 4 * 1024 ** 3, reserveBytes: 0 } });
  const listener = { factPending: () => {}, auditAppended: () => {} };
  const facts = factOutbox({ cluster: "tenant-1", outbox, listener, ...parts });
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < events) await facts.audit(decision(next++));
    }),
  );
  const perSecond = (events * 1000) / (performance.now() - started);
  await outbox.close();
  await rm(directory, { recursive: true });
  return perSecond;
}
