import { generateKeyPairSync } from "node:crypto";
import { availableParallelism } from "node:os";
import { systemClock } from "../../src/base/clock.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";
import { median, quantile } from "../report/statistics.ts";
import { table } from "../report/table.ts";
import { Child } from "./child.ts";

/** What to run. */
export interface FederationBenchOptions {
  readonly json: boolean;
  /** Numbers of agents. */
  readonly fleets: readonly number[];
  /** Measured changes per case, after two unmeasured ones. */
  readonly runs: number;
  readonly recovery: boolean;
}

/** One line of the result: ours beside the floor. */
interface Result {
  readonly name: string;
  readonly agents: number;
  readonly unit: "KiB" | "ms" | "s" | "µs";
  readonly ours: number;
  readonly oursP99?: number;
  readonly floor: number;
  readonly ratio: number;
  readonly note: string;
}

interface Material {
  readonly server: TlsMaterial;
  readonly agents: readonly { readonly cluster: string; readonly tls: TlsMaterial }[];
  readonly signingKeyPem: string;
  readonly publicKeyPem: string;
}

const SIZES = [1024, 10 * 1024];
const WARM_UP = 2;
/** Agents per client process. */
const PER_PROCESS = 500;
/** Larger fleets are measured for recovery only when asked for by size; 1,000 is the bar (lessons §13). */
const CLIENT_PROCESSES = (agents: number): number => Math.max(1, Math.ceil(agents / PER_PROCESS));

/** Runs all cases and prints them. */
export async function federationBench(options: FederationBenchOptions): Promise<void> {
  const largest = Math.max(...options.fleets);
  progress(`issuing ${largest} client certificates`);
  const material = await issue(largest);
  const results: Result[] = [];
  for (const agents of options.fleets) {
    const part = { ...material, agents: material.agents.slice(0, agents) };
    progress(`${agents} agents: plain grpc-js`);
    const floor = await measure("floor-server-child.ts", "floor-clients-child.ts", part, options);
    progress(`${agents} agents: hub`);
    const ours = await measure("hub-child.ts", "agents-child.ts", part, options);
    results.push(...compare(agents, ours, floor));
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ cores: availableParallelism(), results }, null, 2)}\n`);
  else print(results);
}

interface Measured {
  readonly idleRssBytes: number;
  readonly idleHeapBytes: number;
  readonly changesMs: ReadonlyMap<number, readonly number[]>;
  readonly signingMs: number;
  /** Processor time per agent and change, milliseconds. */
  readonly serverCpuMs: number;
  readonly clientsCpuMs: number;
  readonly recoveryMs: number | undefined;
}

async function measure(
  serverFile: string,
  clientFile: string,
  material: Material,
  options: FederationBenchOptions,
): Promise<Measured> {
  const count = material.agents.length;
  const clusters = material.agents.map(({ cluster }) => cluster);
  const serverCommand = {
    type: "startServer" as const,
    tls: material.server,
    clusters,
    signingKeyPem: material.signingKeyPem,
  };
  let server = new Child(serverFile);
  const { port = 0 } = await server.ask({ ...serverCommand, port: 0, admission: "open" });
  const before = await server.ask({ type: "memory" });
  const processes = CLIENT_PROCESSES(count);
  const clients = Array.from({ length: processes }, () => new Child(clientFile));
  await Promise.all(
    clients.map((client, i) =>
      client.ask({
        type: "startClients",
        port,
        agents: material.agents.filter((_, at) => at % processes === i),
        publicKeyPem: material.publicKeyPem,
      }),
    ),
  );
  await server.ask({ type: "awaitConnected", count });
  const after = await server.ask({ type: "memory" });

  const changesMs = new Map<number, number[]>();
  let signingMs = 0;
  const cpuOf = async (children: readonly Child[]): Promise<number> => {
    const answers = await Promise.all(children.map((child) => child.ask({ type: "cpu" })));
    return answers.reduce((sum, { cpuMs = 0 }) => sum + cpuMs, 0);
  };
  const cpuBefore = { server: await cpuOf([server]), clients: await cpuOf(clients) };
  for (const bytes of SIZES) {
    const times: number[] = [];
    for (let run = 0; run < WARM_UP + options.runs; run++) {
      const answer = await server.ask({ type: "change", bytes });
      if (run >= WARM_UP) times.push(answer.elapsedMs ?? Number.NaN);
      signingMs = answer.signingMs ?? 0;
    }
    changesMs.set(bytes, times);
  }

  const changes = SIZES.length * (WARM_UP + options.runs) * count;
  const serverCpuMs = ((await cpuOf([server])) - cpuBefore.server) / changes;
  const clientsCpuMs = ((await cpuOf(clients)) - cpuBefore.clients) / changes;

  let recoveryMs: number | undefined;
  if (options.recovery) {
    const started = performance.now();
    await server.kill();
    server = new Child(serverFile);
    await server.ask({ ...serverCommand, port, admission: "default" });
    await server.ask({ type: "awaitConnected", count });
    recoveryMs = performance.now() - started;
  }
  await Promise.all(clients.map((client) => client.stop()));
  await server.stop();
  return {
    idleRssBytes: ((after.rssBytes ?? 0) - (before.rssBytes ?? 0)) / count,
    idleHeapBytes: ((after.heapBytes ?? 0) - (before.heapBytes ?? 0)) / count,
    changesMs,
    signingMs,
    serverCpuMs,
    clientsCpuMs,
    recoveryMs,
  };
}

function compare(agents: number, ours: Measured, floor: Measured): Result[] {
  const kib = 1024;
  const results: Result[] = [
    {
      name: "idle memory per agent, RSS",
      agents,
      unit: "KiB",
      ours: ours.idleRssBytes / kib,
      floor: floor.idleRssBytes / kib,
      ratio: ours.idleRssBytes / floor.idleRssBytes,
      note: "server process, after garbage collection",
    },
    {
      name: "idle memory per agent, heap and buffers",
      agents,
      unit: "KiB",
      ours: ours.idleHeapBytes / kib,
      floor: floor.idleHeapBytes / kib,
      ratio: ours.idleHeapBytes / floor.idleHeapBytes,
      note: "",
    },
  ];
  for (const bytes of SIZES) {
    const mine = ours.changesMs.get(bytes) ?? [];
    const plain = floor.changesMs.get(bytes) ?? [];
    results.push({
      name: `${bytes / kib} KiB change until all applied`,
      agents,
      unit: "ms",
      ours: median(mine),
      oursP99: quantile(mine, 0.99),
      floor: median(plain),
      ratio: median(mine) / median(plain),
      note: `building, signing and writing ${agents} indexes took ${ours.signingMs.toFixed(0)} ms of it`,
    });
  }
  results.push(
    {
      name: "server CPU per agent and change",
      agents,
      unit: "µs",
      ours: ours.serverCpuMs * 1000,
      floor: floor.serverCpuMs * 1000,
      ratio: ours.serverCpuMs / floor.serverCpuMs,
      note: "processor time, so it hardly moves with the load of the machine",
    },
    {
      name: "agents' CPU per agent and change",
      agents,
      unit: "µs",
      ours: ours.clientsCpuMs * 1000,
      floor: floor.clientsCpuMs * 1000,
      ratio: ours.clientsCpuMs / floor.clientsCpuMs,
      note: "in a fleet this is spent on the tenants' machines",
    },
  );
  if (ours.recoveryMs !== undefined && floor.recoveryMs !== undefined)
    results.push({
      name: "kill -9 of the server until all are back",
      agents,
      unit: "s",
      ours: ours.recoveryMs / 1000,
      floor: floor.recoveryMs / 1000,
      ratio: ours.recoveryMs / floor.recoveryMs,
      note: "ours: default admission, 100/s and a burst of 50; floor: none",
    });
  return results;
}

async function issue(count: number): Promise<Material> {
  const ca = await CertificateAuthority.create("bench", { clock: systemClock });
  const caPem = ca.certificatePem;
  const server = await ca.issue({
    kind: "server",
    commonName: "bench",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const agents: { cluster: string; tls: TlsMaterial }[] = [];
  for (let i = 0; i < count; i++) {
    const cluster = `tenant-${i}`;
    agents.push({ cluster, tls: { ...(await ca.issue({ kind: "tenant", cluster })), caPem } });
  }
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    server: { ...server, caPem },
    agents,
    signingKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

function print(results: readonly Result[]): void {
  const number = (value: number, unit: string): string => `${value.toFixed(unit === "s" ? 1 : 0)} ${unit}`;
  const rows = results.map((result) => [
    result.name,
    String(result.agents),
    number(result.ours, result.unit),
    result.oursP99 === undefined ? "" : number(result.oursP99, result.unit),
    number(result.floor, result.unit),
    `${result.ratio.toFixed(2)}x`,
  ]);
  console.log(table(["case", "agents", "ours, median", "ours, p99", "plain grpc-js", "ratio"], rows));
  console.log();
  for (const note of new Set(
    results.map(({ name, agents, note }) => (note === "" ? "" : `${name}, ${agents}: ${note}`)),
  ))
    if (note !== "") console.log(note);
  console.log(
    `\n${availableParallelism()} cores, loopback, mutual TLS 1.3; server and clients share the machine; agents keep their store in SQLite in memory.`,
  );
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
