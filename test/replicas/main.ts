import { parseArgs } from "node:util";
import { quantile } from "../../bench/report/statistics.ts";
import { table } from "../../bench/report/table.ts";
import { type FaultReport, evenedOut, freezeAndThaw, jumpClock, killAndRestart, partitionAndHeal } from "./faults.ts";
import { ReplicaFleet } from "./replica-fleet.ts";

/** `node test/replicas/main.ts [--agents 300] [--replicas 3] [--rounds 2]`: hurts real replicas under load, and compares with a model. */
const { values } = parseArgs({
  options: {
    agents: { type: "string", default: "300" },
    replicas: { type: "string", default: "3" },
    rounds: { type: "string", default: "2" },
    "heartbeat-ms": { type: "string", default: "2000" },
  },
});
/** Time over which writes are counted once nothing changes any more, milliseconds. */
const IDLE_MS = 20_000;
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const started = performance.now();
const fleet = await ReplicaFleet.start({
  replicas: Number(values.replicas),
  agents: Number(values.agents),
  heartbeatMs: Number(values["heartbeat-ms"]),
  auditMs: 1_000,
  factMs: 10_000,
  balance: { roundMs: 2_000, settleMs: 4_000, stayMs: 4_000, movesPerMinute: 600 },
});
say(
  `${values.agents} agents at ${values.replicas} replicas after ${((performance.now() - started) / 1000).toFixed(1)} s`,
);
/** The load from above: now and then a tenant gets new content. */
const changes = setInterval(() => {
  const at = Math.floor(Math.random() * fleet.clusters.length);
  fleet.change(fleet.clusters[at] ?? "");
}, 200);
const reports: FaultReport[] = [];
try {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const fault of [killAndRestart, freezeAndThaw, partitionAndHeal]) {
      const replica = fleet.replicas[(round + reports.length) % fleet.replicas.length] ?? "";
      const report = await fault(fleet, replica);
      reports.push(report);
      say(
        `${report.fault} of ${replica}: ${report.agents} agents, slowest ${report.servedAgainMs.at(-1)?.toFixed(0)} ms`,
      );
      say(`evened out: ${(await evenedOut(fleet)).join(", ")}`);
    }
    const replica = fleet.replicas[round % fleet.replicas.length] ?? "";
    say(`clock of ${replica} jumps: ${await jumpClock(fleet, replica)} agents left`);
  }
  const idle = await Promise.all(fleet.replicas.map((name) => fleet.look(name)));
  clearInterval(changes);
  const { faults, agents, auditEvents } = await fleet.verdict();
  const rows = reports.map(({ fault, replica, agents: count, servedAgainMs }) => [
    fault,
    replica,
    String(count),
    ...[0.5, 0.99, 1].map((share) => `${(quantile(servedAgainMs, share) / 1000).toFixed(2)} s`),
  ]);
  console.log(table(["fault", "replica", "agents", "median", "p99", "slowest"], rows));
  const all = reports.flatMap(({ servedAgainMs }) => servedAgainMs);
  console.log(`\nserved again, all ${all.length}: p99 ${(quantile(all, 0.99) / 1000).toFixed(2)} s`);
  const total = (name: string): number => idle.reduce((sum, { counts }) => sum + (counts.get(name) ?? 0), 0);
  console.log(
    `${auditEvents} audit events, ${agents.reduce((sum, { lastFact }) => sum + lastFact, 0)} receipts; ` +
      `terms up to ${agents.reduce((most, { term }) => (term > most ? term : most), 0n)}; ` +
      `${total("federation_fenced_writes_total")} writes of former owners refused, ` +
      `${agents.reduce((sum, { staleTerms }) => sum + staleTerms, 0)} frames of old terms refused by agents`,
  );
  const before = await Promise.all(fleet.replicas.map((name) => fleet.look(name)));
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const after = await Promise.all(fleet.replicas.map((name) => fleet.look(name)));
  const perSecond = after.map(({ counts }, at) => {
    const writes = (of: ReadonlyMap<string, number> | undefined): number => of?.get("apiserver_writes_total") ?? 0;
    return (writes(counts) - writes(before[at]?.counts)) / (IDLE_MS / 1000);
  });
  console.log(
    `idle with ${agents.length} agents: ${perSecond.map((rate) => rate.toFixed(2)).join(", ")} writes a second to the API server, by replica`,
  );
  console.log(faults.length === 0 ? "nothing lost, nothing twice, nothing went back" : faults.slice(0, 40).join("\n"));
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  clearInterval(changes);
  await fleet.close();
}
