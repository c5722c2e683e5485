import { fork } from "node:child_process";
import { once } from "node:events";
import { extname, join } from "node:path";
import { parseArgs } from "node:util";
import { realServerAssets } from "../../test/support/real-api-server.ts";
import type { Bench } from "../bench.ts";
import { type Row, printRows } from "../report/rows.ts";
import { median, quantile } from "../report/statistics.ts";
import { inProcess } from "./in-process.ts";
import { applyConfigMaps, createConfigMaps, createWidgets, fanOut, listWidgets, prepare } from "./load.ts";
import { type MeasuredServer, startEmbedded, startReal } from "./servers.ts";

const MIB = 1024 * 1024;
const WATCHERS = 500;
const USAGE = `usage: node bench/main.ts cluster [--scale 1] [--json]

  --scale 0.1 takes a tenth of the objects, for a quick look
  The real kube-apiserver with etcd (fsync on) runs beside it where KUBEBUILDER_ASSETS names their folder.
`;

/** Times that our informer and client-node's are started, one after the other. */
const REFLECTOR_PAIRS = 5;

interface Figures {
  readonly readyMs: number;
  readonly rssMib: number;
  readonly createsPerSecond: number;
  readonly delayP99Ms: number | undefined;
  readonly appliesPerSecond: number;
  readonly listMs: number;
  readonly fanOutP99Ms: number;
  readonly ours: Reflector;
  readonly clientNode: Reflector;
}

interface Reflector {
  readonly elapsedMs: number;
  readonly heapBytes: number;
  readonly objects: number;
}

/** The embedded cluster beside the real API server. */
export const cluster: Bench = {
  name: "cluster",
  summary: "embedded cluster beside kube-apiserver with etcd; our informer beside client-node's",
  usage: USAGE,
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: { json: { type: "boolean", default: false }, scale: { type: "string", default: "1" } },
    });
    const scale = Number(values.scale);
    const assets = realServerAssets();
    if (assets === undefined)
      process.stderr.write("KUBEBUILDER_ASSETS is not set: without the real server beside it\n");
    const real = assets === undefined ? undefined : await measure("real", () => startReal(assets), scale);
    const ours = await measure("embedded", startEmbedded, scale);
    process.stderr.write("in process\n");
    const local = await inProcess(Math.ceil(10_000 * scale), 64);
    const rows = [...rowsOf(ours, real, scale), inProcessRow(local)];
    if (values.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    else
      printRows(
        rows,
        "Beside it: kube-apiserver and etcd with fsync on, in the same run, unless the row says otherwise.",
      );
  },
};

async function measure(name: string, start: () => Promise<MeasuredServer>, scale: number): Promise<Figures> {
  process.stderr.write(`${name}\n`);
  const count = (n: number): number => Math.ceil(n * scale);
  const server = await start();
  try {
    const { cluster: api } = server;
    await prepare(api);
    await createConfigMaps(api, "first", 1_000, 64);
    const rssMib = server.rssBytes() / MIB;
    await server.delayP99Ms();
    const createsPerSecond = await createConfigMaps(api, "second", count(10_000), 64);
    const delayP99Ms = await server.delayP99Ms();
    const appliesPerSecond = await applyConfigMaps(api, count(5_000), 32);
    await createWidgets(api, count(10_000));
    await listWidgets(api);
    const lists: number[] = [];
    for (let i = 0; i < 5; i++) lists.push(await listWidgets(api));
    const fanOutP99Ms = quantile(await fanOut(api, WATCHERS, 20), 0.99);
    return {
      readyMs: server.readyMs,
      rssMib,
      createsPerSecond,
      delayP99Ms,
      appliesPerSecond,
      listMs: median(lists),
      fanOutP99Ms,
      ...(await reflectors(server.kubeconfig)),
    };
  } finally {
    await server.close();
  }
}

/** Medians of pairs: the first look after a change costs the server more, whoever takes it. */
async function reflectors(kubeconfig: string): Promise<{ readonly ours: Reflector; readonly clientNode: Reflector }> {
  const ours: Reflector[] = [];
  const clientNode: Reflector[] = [];
  for (let pair = 0; pair < REFLECTOR_PAIRS; pair++) {
    ours.push(await reflector("ours", kubeconfig));
    clientNode.push(await reflector("client-node", kubeconfig));
  }
  return { ours: middle(ours), clientNode: middle(clientNode) };
}

function middle(runs: readonly Reflector[]): Reflector {
  return {
    elapsedMs: median(runs.map(({ elapsedMs }) => elapsedMs)),
    heapBytes: median(runs.map(({ heapBytes }) => heapBytes)),
    objects: runs[0]?.objects ?? 0,
  };
}

async function reflector(kind: "ours" | "client-node", kubeconfig: string): Promise<Reflector> {
  const child = fork(join(import.meta.dirname, `reflector-child${extname(import.meta.filename)}`), [kind, kubeconfig], {
    execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning"],
  });
  const [message]: readonly unknown[] = await once(child, "message");
  return message as Reflector;
}

function rowsOf(ours: Figures, real: Figures | undefined, scale: number): readonly Row[] {
  const row = (
    what: string,
    unit: string,
    pick: (figures: Figures) => number,
    goal: { readonly text: string; readonly ratio: number; readonly atLeast: boolean },
    note?: string,
  ): Row => {
    const mine = pick(ours);
    const beside = real === undefined ? undefined : pick(real);
    const ratio = beside === undefined ? undefined : mine / beside;
    return {
      scenario: "",
      what,
      unit,
      ours: mine,
      ...(beside === undefined ? {} : { floor: beside }),
      goal: goal.text,
      met: ratio === undefined ? undefined : goal.atLeast ? ratio >= goal.ratio : ratio <= goal.ratio,
      ...(note === undefined ? {} : { note }),
    };
  };
  const atMost = (ratio: number) => ({ text: `≤ ${ratio}x`, ratio, atLeast: false });
  const atLeast = (ratio: number) => ({ text: `≥ ${ratio}x`, ratio, atLeast: true });
  const objects = Math.ceil(10_000 * scale);
  const delay = ours.delayP99Ms ?? Number.NaN;
  const besides = real ?? ours;
  return [
    row("start to ready", "ms", (each) => each.readyMs, atMost(0.25)),
    row("resident memory with 1,000 objects", "MiB", (each) => each.rssMib, atMost(0.4)),
    row(
      `create ${objects} ConfigMaps of 1 KiB over REST, 64 in flight`,
      "/s",
      (each) => each.createsPerSecond,
      atLeast(1.5),
    ),
    {
      scenario: "",
      what: "event-loop delay meanwhile, p99",
      unit: "ms",
      ours: delay,
      goal: "< 20 ms",
      met: delay < 20,
    },
    row("server-side apply, 32 in flight", "/s", (each) => each.appliesPerSecond, atLeast(1)),
    row(`list ${objects} custom objects as JSON`, "ms", (each) => each.listMs, atMost(0.5)),
    row(`one change to ${WATCHERS} watchers, p99`, "ms", (each) => each.fanOutP99Ms, atMost(1)),
    {
      scenario: "",
      what: `our informer, ${besides.ours.objects} objects, until synced (beside it: client-node's)`,
      unit: "ms",
      ours: besides.ours.elapsedMs,
      floor: besides.clientNode.elapsedMs,
      goal: "≤ 0.7x",
      met: besides.ours.elapsedMs <= 0.7 * besides.clientNode.elapsedMs,
      note: real === undefined ? "on the embedded cluster" : "on the real server",
    },
    {
      scenario: "",
      what: "our informer, heap and buffers (beside it: client-node's)",
      unit: "MiB",
      ours: besides.ours.heapBytes / MIB,
      floor: besides.clientNode.heapBytes / MIB,
      goal: "≤ 0.7x",
      met: besides.ours.heapBytes <= 0.7 * besides.clientNode.heapBytes,
    },
  ];
}

function inProcessRow({ ours, raw }: { readonly ours: number; readonly raw: number }): Row {
  return {
    scenario: "",
    what: "in process: durable creates, 64 in flight (beside it: raw SQLite, groups of 64)",
    unit: "/s",
    ours,
    floor: raw,
    goal: "≥ 15,000/s",
    met: ours >= 15_000,
  };
}
