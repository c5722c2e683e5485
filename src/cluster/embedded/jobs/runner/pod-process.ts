import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import type { Clock } from "../../../../base/clock.ts";
import { type ExitReport, parseExitReport } from "./exit-report.ts";
import type { PodFolder, ShimOrder } from "./pod-folder.ts";
import { identityOf, isAlive, type ProcessIdentity, readIdentity } from "./process-identity.ts";

/** How often a shim that an earlier process of the cluster started is looked at: its end is no event here. */
const ADOPTED_CHECK_MS = 500;
/** Looks for who an adopted shim is before it counts as lost. */
const IDENTITY_ATTEMPTS = 10;
/** Beyond the program's own time to end: then the shim itself is killed. */
const SHIM_GRACE_MS = 5_000;

/** One run of a program in a shim that outlives this process. */
export interface PodProcess {
  /** Resolves when it has ended; undefined when nobody knows how. */
  readonly ended: Promise<ExitReport | undefined>;
  /** Ends it politely, and after its time of grace without asking; the second call does not wait for that. */
  end(): void;
}

/** Starts the shim with an order. */
export function startProcess(folder: PodFolder, run: number, order: ShimOrder): PodProcess {
  mkdirSync(folder.path, { recursive: true, mode: 0o700 });
  writeFileSync(folder.lease, "", { mode: 0o600 });
  writeFileSync(folder.order(run), JSON.stringify(order), { mode: 0o600 });
  // The compiled form of this file sits beside a compiled shim.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const shim = new URL(`./shim.${extension}`, import.meta.url).pathname;
  const child = spawn(process.execPath, [shim, folder.order(run)], { detached: true, stdio: "ignore", env: {} });
  child.unref();
  const identity = child.pid === undefined ? undefined : identityOf(child.pid);
  const ended = new Promise<ExitReport | undefined>((resolve) => {
    const finished = (): void => resolve(exitReport(folder, run));
    child.once("exit", finished);
    child.once("error", finished);
  });
  return { ended, end: () => endShim(identity, ended, order.graceMs) };
}

/**
 * Takes over what an earlier process of the cluster started. Undefined when it never ran, and never will: its order, if there was one, is
 * given up.
 */
export function adoptProcess(
  folder: PodFolder,
  run: number,
  graceMs: number,
  clock: Clock,
  signal: AbortSignal,
): PodProcess | undefined {
  if (!existsSync(folder.path)) return undefined;
  try {
    renameSync(folder.order(run), `${folder.order(run)}.given-up`);
    return undefined;
  } catch {
    // the shim has taken it, or it was never written
  }
  if (!existsSync(folder.lease)) return undefined;
  let identity: ProcessIdentity | undefined;
  const lives = async (): Promise<boolean> => {
    for (let attempt = 0; attempt < IDENTITY_ATTEMPTS && identity === undefined; attempt++) {
      if (exitReport(folder, run)) return false;
      identity = readIdentity(folder.process(run));
      if (identity === undefined) await clock.sleep(ADOPTED_CHECK_MS, signal);
    }
    return identity !== undefined && isAlive(identity);
  };
  const ended = (async () => {
    try {
      while (await lives()) await clock.sleep(ADOPTED_CHECK_MS, signal);
    } catch {
      // closing: whoever ends it waits no longer than it lives
    }
    return exitReport(folder, run);
  })();
  return { ended, end: () => endShim(readIdentity(folder.process(run)), ended, graceMs) };
}

function endShim(identity: ProcessIdentity | undefined, ended: Promise<unknown>, graceMs: number): void {
  if (!identity || !isAlive(identity)) return;
  const send = (name: NodeJS.Signals): void => {
    try {
      if (isAlive(identity)) process.kill(identity.pid, name);
    } catch {
      // it has ended
    }
  };
  send("SIGTERM");
  const timer = setTimeout(() => send("SIGKILL"), graceMs + SHIM_GRACE_MS);
  timer.unref();
  void ended.finally(() => clearTimeout(timer));
}

function exitReport(folder: PodFolder, run: number): ExitReport | undefined {
  const file = folder.exit(run);
  return existsSync(file) ? parseExitReport(readFileSync(file, "utf8")) : undefined;
}

/** Tells the shim that the cluster lives. */
export function renewLease(folder: PodFolder, nowMs: number): void {
  try {
    utimesSync(folder.lease, nowMs / 1000, nowMs / 1000);
  } catch {
    // the pod is gone
  }
}
