import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as elapse } from "node:timers/promises";
import { PermissionService } from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { createGrpcClient } from "../../src/api/grpc/client.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { PROCESS_OPTIONS } from "../../src/roles/process-options.ts";
import { indexOf } from "../../src/permissions/index/permission-index.ts";
import { clientCredentials } from "../../src/trust/tls/client-credentials.ts";
import { tenantOnDisk } from "../../test/support/tenant-on-disk.ts";
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

/** The program beside this bench: TypeScript or compiled, as the bench is. */
const PROGRAM = join(import.meta.dirname, `../../src/bin/conductor${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`);
/** After its first answer a tenant loads the rest and keeps what it compiled. */
const KEEPS_MS = 4_000;
const GIVE_UP_MS = 60_000;

/** Starts `conductor agent` as a tenant with a held snapshot of 10,000 bindings and no hub, again and again. */
export async function restartBench(runs: number): Promise<RestartFigures> {
  const directory = await mkdtemp(join(tmpdir(), "bench-restart-"));
  const random = new SeededRandom(1);
  const world = benchWorld(random);
  const index = indexOf(world);
  const question = benchQuestions(random, 1_000).find(
    ({ user, groups, request }) => index.decide(user, groups, request, 0) === "allowed",
  );
  if (question === undefined) throw new Error("nothing is allowed");
  const { environment, port, operator } = await tenantOnDisk(directory, world);
  const { bindings } = index.sizes;
  const answers: Start[] = [];
  const floors: Start[] = [];
  try {
    // The first start compiles; every later one finds what it kept.
    for (let run = 0; run <= runs; run++) {
      const floor = await startNode();
      const answer = await startTenant(environment, port, operator, question);
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
  env: Readonly<Record<string, string>>,
  port: number,
  tls: Parameters<typeof clientCredentials>[0],
  question: BenchQuestion,
): Promise<Start> {
  const started = performance.now();
  const child = spawn(process.execPath, [...PROCESS_OPTIONS.tenant, PROGRAM, "agent"], {
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
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
