import { Client, Metadata, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Health } from "../src/api/gen/grpc/health/v1/health_pb.ts";
import { PermissionService } from "../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../src/api/grpc/client.ts";
import type { GrpcService } from "../src/api/grpc/service-implementation.ts";
import { systemClock } from "../src/base/clock.ts";
import { silentLog } from "../src/base/log.ts";
import { SeededRandom, systemRandom } from "../src/base/random.ts";
import { indexOf } from "../src/permissions/index/permission-index.ts";
import { startPermissionService } from "../src/permissions/service/start-permission-service.ts";
import { encodeContent } from "../src/permissions/snapshot/content.ts";
import { signStatement } from "../src/permissions/snapshot/statement.ts";
import { openSnapshotStore } from "../src/permissions/store/snapshot-store.ts";
import { CertificateAuthority } from "../src/trust/ca/certificate-authority.ts";
import { ed25519Signer, encodeEnvelope } from "../src/trust/dsse.ts";
import { KeyRing } from "../src/trust/keyring/key-ring.ts";
import { clientCredentials } from "../src/trust/tls/client-credentials.ts";
import { startGrpcServer } from "../src/trust/tls/grpc-server.ts";
import { fixedTls } from "../src/trust/tls/tls-material.ts";
import { scanDecision } from "../test/oracle/permission-scan.ts";
import { BENCH_BINDINGS, BENCH_ROLES, type BenchQuestion, benchQuestions, benchWorld } from "./permission-world.ts";
import { median } from "./report/statistics.ts";
import { table } from "./report/table.ts";

/** Options of {@link permissionsBench}. */
export interface PermissionsBenchOptions {
  readonly json: boolean;
  /** Repetitions of every figure; the median is printed. */
  readonly runs: number;
  /** Unary calls per run. */
  readonly calls: number;
}

/** One line of the report. */
interface Figure {
  readonly what: string;
  readonly perSecond: number;
  /** Against the floor of its section; 1 is the floor itself. */
  readonly ratio: number;
}

const QUESTIONS = 20_000;
const SCANS = 200;
const IN_FLIGHT = 64;
const BATCH = 100;

function perSecond(count: number, work: () => void): number {
  const started = performance.now();
  work();
  return (count * 1000) / (performance.now() - started);
}

function inProcess(runs: number): readonly Figure[] {
  const random = new SeededRandom(1);
  const world = benchWorld(random);
  const index = indexOf(world);
  const questions = benchQuestions(random, QUESTIONS);
  const indexed: number[] = [];
  const scanned: number[] = [];
  for (let run = 0; run <= runs; run++) {
    const fast = perSecond(questions.length, () => {
      for (const { user, groups, request } of questions) index.decide(user, groups, request, 0);
    });
    const few = questions.slice(0, SCANS);
    const slow = perSecond(few.length, () => {
      for (const { user, groups, request } of few) scanDecision(world, user, groups, request, 0);
    });
    if (run === 0) continue; // warm-up
    indexed.push(fast);
    scanned.push(slow);
  }
  const floor = median(scanned);
  return [
    { what: "naive scan, in process", perSecond: floor, ratio: 1 },
    { what: "compiled index, in process", perSecond: median(indexed), ratio: median(indexed) / floor },
  ];
}

/** A method that reads and writes nothing: what gRPC and TLS cost by themselves, without our adapter. */
const EMPTY_PATH = "/bench.Empty/Call";

function emptyService(): GrpcService {
  const identity = (bytes: Buffer): Buffer => bytes;
  const definition = {
    call: {
      path: EMPTY_PATH,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  } as const;
  const implementation: UntypedServiceImplementation = {
    call: (_call: unknown, done: (error: null, reply: Buffer) => void) => done(null, Buffer.alloc(0)),
  };
  return { descriptor: Health, definition, bind: () => implementation };
}

async function calls(count: number, call: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (next < count) await call(next++);
    }),
  );
  return (count * 1000) / (performance.now() - started);
}

async function overGrpc(options: PermissionsBenchOptions): Promise<readonly Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), "bench-permissions-"));
  const stop = new AbortController();
  const common = { clock: systemClock, log: silentLog, signal: stop.signal };
  const ca = await CertificateAuthority.create("bench", { clock: systemClock });
  const issued = await ca.issue({
    kind: "server",
    commonName: "bench",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const tls = fixedTls({ ...issued, caPem: ca.certificatePem });
  const operator = await ca.issue({ kind: "operator", user: "bench", groups: ["seam:operators"] });
  const credentials = () => clientCredentials({ ...operator, caPem: ca.certificatePem });

  const random = new SeededRandom(1);
  const world = benchWorld(random);
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { bytes, contentHash } = encodeContent(world);
  const envelope = signStatement(
    { ...world, cluster: "tenant-1", epoch: 1, sequence: 1, contentHash, issuedAtMs: Date.now(), minSequence: 0 },
    ed25519Signer(privateKey),
  );
  const keys = new KeyRing([publicKey]);
  const store = await openSnapshotStore({ directory, cluster: "tenant-1", keys, ...common });
  await store.activate(await store.prepare(encodeEnvelope(envelope), () => Promise.resolve(bytes)));
  const service = await startPermissionService({
    address: "127.0.0.1",
    port: 0,
    tls,
    store,
    cluster: "tenant-1",
    audit: { audit: () => Promise.resolve() },
    random: systemRandom,
    ...common,
  });
  const empty = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    tls,
    services: [emptyService()],
    authenticate: () => ({ ok: true, principal: undefined }),
    ...common,
  });
  const client = createGrpcClient(PermissionService, {
    address: `127.0.0.1:${service.port}`,
    credentials: credentials(),
  });
  const health = createGrpcClient(Health, { address: `127.0.0.1:${service.port}`, credentials: credentials() });
  const bare = new Client(`127.0.0.1:${empty.port}`, credentials(), { "grpc.use_local_subchannel_pool": 1 });
  const identity = (data: Buffer): Buffer => data;
  const nothing = Buffer.alloc(0);
  const callEmpty = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      bare.makeUnaryRequest(EMPTY_PATH, identity, identity, nothing, new Metadata(), {}, (error, reply) =>
        error ? reject(error) : resolve(reply),
      );
    });
  const questions = benchQuestions(random, 1_000);
  const at = (i: number): BenchQuestion => questions[i % questions.length] ?? never();
  const check = (i: number) => messageOf(at(i));
  const items = questions.slice(0, BATCH).map((question, i) => ({ correlationId: `${i}`, check: messageOf(question) }));

  const figures: Record<"empty" | "adapter" | "check" | "batch", number[]> = {
    empty: [],
    adapter: [],
    check: [],
    batch: [],
  };
  for (let run = 0; run <= options.runs; run++) {
    const round = {
      empty: await calls(options.calls, callEmpty),
      adapter: await calls(options.calls, () => health.check({})),
      check: await calls(options.calls, (i) => client.checkPermission(check(i))),
      batch: BATCH * (await calls(Math.ceil(options.calls / BATCH), () => client.batchCheckPermission({ items }))),
    };
    if (run === 0) continue; // warm-up
    for (const name of ["empty", "adapter", "check", "batch"] as const) figures[name].push(round[name]);
  }
  bare.close();
  client.close();
  health.close();
  stop.abort();
  await Promise.all([service.closed, empty.closed, store.closed]);
  await rm(directory, { recursive: true });
  const floor = median(figures.empty);
  const figure = (what: string, values: readonly number[]): Figure => ({
    what,
    perSecond: median(values),
    ratio: median(values) / floor,
  });
  return [
    figure("empty unary RPC, plain grpc-js", figures.empty),
    figure("health check, our adapter", figures.adapter),
    figure("CheckPermission", figures.check),
    figure(`BatchCheckPermission of ${BATCH}, decisions`, figures.batch),
  ];
}

function messageOf({ user, groups, request }: BenchQuestion) {
  if (request.form === "path") return { principal: user, groups: [...groups], verb: request.verb, path: request.path };
  const { verb, apiGroup, resource, subresource, name, namespace } = request;
  return {
    principal: user,
    groups: [...groups],
    deriveGroups: false,
    verb,
    apiGroup,
    resource,
    subresource,
    resourceName: name,
    namespace,
  };
}

function never(): never {
  throw new Error("there are questions");
}

/** Decisions per second in process beside the naive scan, and unary checks per second beside an empty RPC; one run, medians. */
export async function permissionsBench(options: PermissionsBenchOptions): Promise<void> {
  const sections = {
    [`${BENCH_ROLES} roles, ${BENCH_BINDINGS} bindings`]: inProcess(options.runs),
    [`unary over mTLS 1.3, ${IN_FLIGHT} in flight, client and server in one process`]: await overGrpc(options),
  };
  if (options.json) {
    process.stdout.write(`${JSON.stringify(sections, undefined, 2)}\n`);
    return;
  }
  for (const [title, figures] of Object.entries(sections)) {
    const rows = figures.map(({ what, perSecond, ratio }) => [
      what,
      Math.round(perSecond).toLocaleString("en"),
      ratio.toFixed(2),
    ]);
    process.stdout.write(`${title}\n${table(["", "per second", "ratio"], rows)}\n\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await permissionsBench({ json: process.argv.includes("--json"), runs: 5, calls: 10_000 });
