import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { createConfigMaps, prepare } from "./load.ts";

/** Durable creates per second in process, and plain SQLite committing the same rows in groups of the same size. */
export async function inProcess(
  count: number,
  inFlight: number,
): Promise<{ readonly ours: number; readonly raw: number }> {
  const directory = mkdtempSync(join(tmpdir(), "seam-bench-embedded-"));
  const parts = { clock: systemClock, random: systemRandom, log: silentLog };
  const cluster = await openEmbeddedCluster({ directory: join(directory, "cluster"), ...parts });
  try {
    await prepare(cluster);
    await createConfigMaps(cluster, "warm", 500, inFlight);
    const ours = await createConfigMaps(cluster, "one", count, inFlight);
    return { ours, raw: rawGroupCommit(join(directory, "raw.db"), count, inFlight) };
  } finally {
    await cluster.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function rawGroupCommit(path: string, count: number, group: number): number {
  const db = new DatabaseSync(path);
  db.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE objects (key TEXT PRIMARY KEY, body TEXT)",
  );
  const insert = db.prepare("INSERT INTO objects VALUES (?, ?)");
  const body = JSON.stringify({ metadata: { name: "x" }, data: { text: "x".repeat(1024) } });
  const began = performance.now();
  for (let i = 0; i < count; i += group) {
    db.exec("BEGIN IMMEDIATE");
    for (let j = i; j < Math.min(count, i + group); j++) insert.run(`bench/one-${j}`, body);
    db.exec("COMMIT");
  }
  const perSecond = (count * 1000) / (performance.now() - began);
  db.close();
  return perSecond;
}
