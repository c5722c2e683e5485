import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { compareWithScan } from "./differential.ts";
import { RealAuthorizer } from "./real-authorizer.ts";
import { compareWithServer, worldsForServers } from "./real-differential.ts";
import { type RecordedWorld, TextNumbers, recorded } from "./recorded.ts";
import { realServerAssets, startRealApiServer } from "../support/real-api-server.ts";

const USAGE = `usage: node test/oracle/main.ts [--seed 1] [--worlds 200] [--questions 5000] [--server-worlds 200] [--server-questions 100]
                                [--record FILE]

Decisions of the compiled index beside the naive scan and, with KUBEBUILDER_ASSETS, beside a real API server's RBAC authorizer, beyond what
the tests run. --record keeps what the server said. Exit code 1 when any two differ.
`;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    worlds: { type: "string", default: "200" },
    questions: { type: "string", default: "5000" },
    "server-worlds": { type: "string", default: "200" },
    "server-questions": { type: "string", default: "100" },
    record: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}

/** Worlds that a server holds at once. */
const WORLDS_AT_ONCE = 20;
const seed = Number(values.seed);
const { worlds, decisions, outcomes } = compareWithScan(seed, Number(values.worlds), Number(values.questions));
const mixed = [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(", ");
process.stdout.write(`index and scan agree on ${decisions} decisions in ${worlds} worlds (${mixed})\n`);
const assets = realServerAssets();
if (assets === undefined) process.stdout.write("no API server: KUBEBUILDER_ASSETS names no kube-apiserver and etcd\n");
else await besideServer(assets);

async function besideServer(folder: string): Promise<void> {
  const server = await RealAuthorizer.open(await startRealApiServer(folder));
  const numbers = new TextNumbers();
  const kept: RecordedWorld[] = [];
  let [asked, allowed, differing] = [0, 0, 0];
  try {
    const all = worldsForServers(seed, Number(values["server-worlds"]), Number(values["server-questions"]));
    for (let at = 0; at < all.length; at += WORLDS_AT_ONCE) {
      const some = all.slice(at, at + WORLDS_AT_ONCE);
      await server.hold(some);
      const found = await compareWithServer(server, some);
      asked += found.asked;
      allowed += found.allowed;
      differing += found.differences.length;
      for (const { world, question, ...said } of found.differences)
        process.stdout.write(
          `${JSON.stringify({ ...said, question: world.questions[question], content: world.content })}\n`,
        );
      for (const [i, { content, questions }] of some.entries())
        kept.push({
          content,
          answers: questions.map((question, q) => recorded(question, found.answers[i]?.[q] === true, numbers)),
        });
      process.stderr.write(`\r${at + some.length} of ${all.length} worlds`);
    }
  } finally {
    await server.close();
  }
  process.stdout.write(`\nthe API server agrees on ${asked - differing} of ${asked} decisions, ${allowed} allowed\n`);
  if (values.record !== undefined) {
    const recording = { server: "kube-apiserver 1.36.3", texts: numbers.texts, worlds: kept };
    writeFileSync(values.record, gzipSync(`${JSON.stringify(recording)}\n`, { level: 9 }));
  }
  process.exitCode = differing === 0 ? 0 : 1;
}
