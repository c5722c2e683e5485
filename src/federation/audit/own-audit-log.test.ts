import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { AuditRecord } from "../../api/audit-record.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import type { AuditSink } from "../hub/ports.ts";
import type { RunningAuditTrail } from "./audit-trail.ts";
import type { HubAuditSink } from "./hub-audit-sink.ts";
import { openOwnAuditLog } from "./own-audit-log.ts";
import { openSqliteAuditSink } from "./sqlite-audit-sink.ts";

const PATIENT = { timeout: 15_000, interval: 10 };
let directory: string;
let sink: HubAuditSink;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-own-audit-"));
  sink = await openSqliteAuditSink({ path: join(directory, "sink", "audit.db"), clock: systemClock });
});

afterEach(async () => {
  await sink.close();
  await rm(directory, { recursive: true });
});

function record(name: string): AuditRecord {
  return { action: "rbacprofile.provisioned", decision: "admit", subject: name, resource: `rbacprofiles/${name}` };
}

async function open(into: AuditSink, store = "own", seed = 1): Promise<RunningAuditTrail & { stop(): Promise<void> }> {
  const stop = new AbortController();
  const trail = await openOwnAuditLog({
    cluster: "management",
    directory: join(directory, store),
    sink: into,
    clock: systemClock,
    random: new SeededRandom(seed),
    log: silentLog,
    signal: stop.signal,
  });
  return {
    record: (entry) => trail.record(entry),
    closed: trail.closed,
    async stop() {
      stop.abort();
      await trail.closed;
    },
  };
}

async function subjects(): Promise<readonly string[]> {
  const { events } = await sink.scan({ filter: {}, order: "oldest", position: undefined, limit: 1_000 });
  return events.map(({ subject }) => subject);
}

async function breaks(): Promise<readonly { readonly verified: bigint; readonly breaks: number }[]> {
  const verdicts = [];
  for (const chain of await sink.chains("management"))
    verdicts.push((await sink.verify(chain, new AbortController().signal)).state);
  return verdicts;
}

it("keeps on disk what the sink does not take, over a restart, and stores it once in one chain", async () => {
  const away: AuditSink = {
    append: () => Promise.reject(new Error("the database is away")),
    position: () => Promise.reject(new Error("the database is away")),
  };
  const first = await open(away);
  await first.record(record("a"));
  await Promise.all(["b", "c"].map((name) => first.record(record(name))));
  await first.stop();
  expect(await subjects()).toEqual([]);

  const second = await open(sink);
  await second.record(record("d"));
  await vi.waitFor(async () => expect(await subjects()).toEqual(["a", "b", "c", "d"]), PATIENT);
  await second.stop();
  expect(await breaks()).toMatchObject([{ verified: 4n, breaks: 0 }]);
});

it("explains to a sink that lost its disk what this store has no more", async () => {
  const first = await open(sink);
  for (const name of ["a", "b", "c"]) await first.record(record(name));
  await vi.waitFor(async () => expect(await subjects()).toHaveLength(3), PATIENT);
  await first.stop();
  await sink.close();
  await rm(join(directory, "sink"), { recursive: true });
  sink = await openSqliteAuditSink({ path: join(directory, "sink", "audit.db"), clock: systemClock });

  const second = await open(sink);
  await second.record(record("d"));
  await vi.waitFor(async () => expect(await subjects()).toContain("d"), PATIENT);
  await second.stop();
  const [chain] = await sink.chains("management");
  expect(chain).toMatchObject({ cluster: "management", highest: 5n });
  expect(await breaks()).toMatchObject([{ verified: 2n, explained: 3n, breaks: 0 }]);
});

it("gives each replica a numbering of its own, also when they begin in the same second", async () => {
  const one = await open(sink, "one", 1);
  const two = await open(sink, "two", 2);
  await Promise.all([one.record(record("of-one")), two.record(record("of-two"))]);
  await vi.waitFor(async () => expect(await subjects()).toHaveLength(2), PATIENT);
  await Promise.all([one.stop(), two.stop()]);
  expect(await breaks()).toMatchObject([
    { verified: 1n, breaks: 0 },
    { verified: 1n, breaks: 0 },
  ]);
});
