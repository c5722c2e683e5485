import { spawn } from "node:child_process";
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { constants } from "node:os";
import { StringDecoder } from "node:string_decoder";
import { rfc3339Seconds, systemClock } from "../../../../base/clock.ts";
import { BoundedLog } from "./bounded-log.ts";
import type { ExitReport } from "./exit-report.ts";
import type { ShimOrder } from "./pod-folder.ts";
import { identityOf } from "./process-identity.ts";

/** How often the lease is looked at. */
const LEASE_CHECK_MS = 15_000;

/**
 * Entry of the process between the cluster and a program of a Job: it keeps the output and says how the program ended, whether the cluster
 * still lives or not. SIGTERM ends the program politely, a second one at once. Argument: file of the order.
 */
const [, , orderFile = ""] = process.argv;
const taken = `${orderFile}.taken`;
renameSync(orderFile, taken); // fails when the cluster has given the order up
const order = JSON.parse(readFileSync(taken, "utf8")) as ShimOrder;
writeFileSync(order.process, JSON.stringify(identityOf(process.pid)), { mode: 0o600 });
rmSync(taken); // it holds the environment, Secrets too
const startedAt = rfc3339Seconds(systemClock.now());
const log = new BoundedLog(order.log, order.maxLogBytes, () => new Date(systemClock.now()).toISOString());
let abandoned = false;

const [program, ...args] = order.argv;
const child = spawn(program, args, {
  env: { ...order.env },
  cwd: order.cwd,
  stdio: ["ignore", "pipe", "pipe"],
  detached: true, // a group of its own: what it starts ends with it
});
for (const stream of ["stdout", "stderr"] as const) {
  const decoder = new StringDecoder("utf8");
  child[stream].on("data", (chunk: Buffer) => log.write(stream, decoder.write(chunk)));
  child[stream].once("end", () => log.write(stream, decoder.end()));
}

function signalGroup(signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // it has ended
  }
}

let ending = false;
function end(): void {
  if (ending) {
    signalGroup("SIGKILL"); // asked twice
    return;
  }
  ending = true;
  signalGroup("SIGTERM");
  setTimeout(() => signalGroup("SIGKILL"), order.graceMs).unref();
}
process.on("SIGTERM", end);
// Whoever started the cluster on a terminal interrupts it, not its Jobs: the cluster decides what becomes of them.
process.on("SIGINT", () => undefined);
process.on("SIGHUP", () => undefined);

setInterval(() => {
  if (leaseAgeMs() <= order.abandonedAfterMs) return;
  abandoned = true;
  end();
}, LEASE_CHECK_MS).unref();

function leaseAgeMs(): number {
  try {
    return systemClock.now() - statSync(order.lease).mtimeMs;
  } catch {
    return Number.POSITIVE_INFINITY; // the pod's folder is gone, and the pod with it
  }
}

function finish(exitCode: number, signal: string | undefined, reason: ExitReport["reason"], message: string): void {
  signalGroup("SIGKILL"); // what the program left running
  log.close();
  const finishedAt = rfc3339Seconds(systemClock.now());
  const report: ExitReport = { exitCode, signal, startedAt, finishedAt, reason, message };
  const descriptor = openSync(`${order.exit}.tmp`, "w", 0o600);
  writeSync(descriptor, JSON.stringify(report));
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(`${order.exit}.tmp`, order.exit);
  process.exit(0);
}

child.once("error", (error) => {
  log.write("stderr", `${error.message}\n`);
  if (child.pid === undefined) finish(128, undefined, "StartError", error.message);
});
child.once("close", (code, signal) => {
  const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  const reason = abandoned ? "Abandoned" : exitCode === 0 ? "Completed" : "Error";
  finish(exitCode, signal ?? undefined, reason, exitCode === 0 ? "" : log.tail);
});
