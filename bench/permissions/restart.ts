import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as elapse } from "node:timers/promises";
import { PermissionService } from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../../src/api/grpc/client.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { indexOf } from "../../src/permissions/index/permission-index.ts";
import { encodeContent } from "../../src/permissions/snapshot/content.ts";
import { signStatement } from "../../src/permissions/snapshot/statement.ts";
import { openSnapshotStore } from "../../src/permissions/store/snapshot-store.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import { ed25519Signer, encodeEnvelope } from "../../src/trust/dsse.ts";
import { KeyRing } from "../../src/trust/keyring/key-ring.ts";
import { clientCredentials } from "../../src/trust/tls/client-credentials.ts";
import { median } from "../report/statistics.ts";
import { type BenchQuestion, benchQuestions, benchWorld } from "./world.ts";

/** A tenant's start while its hub is away, milliseconds after the process was started. */
export interface RestartFigures {
  /** Until a right answer came over mutual TLS, from the snapshot that was held. */
  readonly answerMs: number;
  /** Until a Node process that does nothing has ended: what no program of ours can be below. */
  readonly nodeMs: number;
  /** Processor time of both, milliseconds: what does not move with the load of the machine. */
  readonly answerCpuMs: number;
  readonly nodeCpuMs: number;
  readonly bindings: number;
}

const PROGRAM = join(import.meta.dirname, "../../src/bin/conductor.ts");
/** After its first answer a tenant loads the rest and keeps what it compiled. */
const KEEPS_MS = 4_000;
const GIVE_UP_MS = 60_000;

/** Starts `conductor agent` as a tenant with a held snapshot of 10,000 bindings and no hub, again and again. */
export async function restartBench(runs: number): Promise<RestartFigures> {
  const directory = await mkdtemp(join(tmpdir(), "bench-restart-"));
  const { environment, port, tls, question, bindings } = await prepareTenant(directory);
  const answers: Start[] = [];
  const floors: Start[] = [];
  try {
    // The first start compiles; every later one finds what it kept.
    for (let run = 0; run <= runs; run++) {
      const floor = await startNode();
      const answer = await startTenant(environment, port, tls, question);
      if (run === 0) continue;
      floors.push(floor);
      answers.push(answer);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return {
    answerMs: median(answers.map(({ ms }) => ms)),
    nodeMs: median(floors.map(({ ms }) => ms)),
    answerCpuMs: median(answers.map(({ cpuMs }) => cpuMs)),
    nodeCpuMs: median(floors.map(({ cpuMs }) => cpuMs)),
    bindings,
  };
}

interface Start {
  readonly ms: number;
  readonly cpuMs: number;
}

/** Processor time of a process so far, milliseconds; ticks of /proc are of 10 ms. */
function cpuMsOf(pid: number | undefined): number {
  const fields =
    readFileSync(`/proc/${pid ?? 0}/stat`, "utf8")
      .split(") ")[1]
      ?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function startNode(): Promise<Start> {
  const started = performance.now();
  const child = spawn(process.execPath, ["-e", "process.stdout.write('up'); setInterval(() => {}, 1000)"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const start = { ms: performance.now() - started, cpuMs: cpuMsOf(child.pid) };
  child.kill("SIGKILL");
  return start;
}

async function startTenant(
  env: Record<string, string>,
  port: number,
  tls: Parameters<typeof clientCredentials>[0],
  question: BenchQuestion,
): Promise<Start> {
  const started = performance.now();
  const child = spawn(process.execPath, [PROGRAM, "agent"], { env, stdio: ["ignore", "ignore", "inherit"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    while (!(await listens(port))) {
      if (child.exitCode !== null || performance.now() - started > GIVE_UP_MS)
        throw new Error("the tenant did not start");
      await elapse(2);
    }
    const client = createGrpcClient(PermissionService, {
      address: `127.0.0.1:${port}`,
      credentials: clientCredentials(tls),
    });
    const { request } = question;
    if (request.form === "path") throw new Error("the question is about a resource");
    const { verb, apiGroup, resource, subresource, name, namespace } = request;
    const asked = { verb, apiGroup, resource, subresource, resourceName: name, namespace };
    const groups = [...question.groups];
    const answer = await client.checkPermission({ principal: question.user, groups, deriveGroups: false, ...asked });
    const start = { ms: performance.now() - started, cpuMs: cpuMsOf(child.pid) };
    client.close();
    if (!answer.allowed) throw new Error(`the first answer is wrong: ${answer.reason}`);
    // It compiles and keeps what it compiled once it is up.
    await elapse(KEEPS_MS);
    return start;
  } finally {
    child.kill("SIGTERM");
    await exited;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function prepareTenant(directory: string) {
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const ca = await CertificateAuthority.create("bench", { clock: systemClock });
  const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const server = await ca.issue({ kind: "server", commonName: "bench", ...names });
  const operator = await ca.issue({ kind: "operator", user: "bench", groups: ["seam:operators"] });
  const agent = await ca.issue({ kind: "tenant", cluster: "tenant-1" });
  const caFile = await file("ca.crt", ca.certificatePem);
  const certificate = await file("server.crt", server.certificatePem);
  const key = await file("server.key", server.privateKeyPem);
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  await mkdir(join(directory, "keys"));
  await file("keys/current.pem", publicKey.export({ type: "spki", format: "pem" }).toString());

  const random = new SeededRandom(1);
  const world = benchWorld(random);
  const index = indexOf(world);
  const question = benchQuestions(random, 1_000).find(
    ({ user, groups, request }) => index.decide(user, groups, request, 0) === "allowed",
  );
  if (question === undefined) throw new Error("nothing is allowed");
  const { bytes, contentHash } = encodeContent(world);
  const now = systemClock.now();
  const place = { cluster: "tenant-1", epoch: Math.floor(now / 1000), sequence: 1, minSequence: 0 };
  const statement = signStatement({ ...world, ...place, contentHash, issuedAtMs: now }, ed25519Signer(privateKey));
  const stop = new AbortController();
  const store = await openSnapshotStore({
    directory: join(directory, "snapshots"),
    cluster: "tenant-1",
    keys: new KeyRing([publicKey]),
    clock: systemClock,
    log: silentLog,
    signal: stop.signal,
  });
  await store.activate(await store.prepare(encodeEnvelope(statement), () => Promise.resolve(bytes)));
  stop.abort();
  await store.closed;

  const [port, api, ops, hub] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const environment = {
    PATH: process.env["PATH"] ?? "",
    HOME: directory,
    NODE_COMPILE_CACHE: join(directory, "compile-cache"),
    CONDUCTOR_ROLE: "tenant",
    CLUSTER_REF: "tenant-1",
    METRICS_ADDR: `127.0.0.1:${ops}`,
    MGMT_FEDERATION_ADDR: `127.0.0.1:${hub}`,
    FEDERATION_CA_CERT_PATH: caFile,
    FEDERATION_CLIENT_CERT_PATH: await file("agent.crt", agent.certificatePem),
    FEDERATION_CLIENT_KEY_PATH: await file("agent.key", agent.privateKeyPem),
    SIGNING_KEYS_DIR: join(directory, "keys"),
    WAL_PATH: join(directory, "outbox"),
    SNAPSHOT_DIR: join(directory, "snapshots"),
    PERMISSION_SERVICE_ADDR: `127.0.0.1:${port}`,
    PERMISSION_SERVICE_CA_CERT_PATH: caFile,
    PERMISSION_SERVICE_CERT_PATH: certificate,
    PERMISSION_SERVICE_KEY_PATH: key,
    EMBEDDED_CLUSTER_DIR: join(directory, "cluster"),
    EMBEDDED_API_ADDR: `127.0.0.1:${api}`,
    EMBEDDED_API_CA_CERT_PATH: caFile,
    EMBEDDED_API_CERT_PATH: certificate,
    EMBEDDED_API_KEY_PATH: key,
  };
  const tls = { ...operator, caPem: ca.certificatePem };
  return { environment, port, tls, question, bindings: index.sizes.bindings };
}
