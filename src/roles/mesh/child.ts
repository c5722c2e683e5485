import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type BackoffPolicy, fullJitter } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { lastWords } from "./last-words.ts";

const RESTART: BackoffPolicy = { baseMs: 400, factor: 2, capMs: 15_000 };
/** A process that lived this long starts again without growing delay. */
const HEALTHY_RUN_MS = 20_000;
/** Time a stopping process has before it is killed. */
export const STOP_GRACE_MS = 4_000;
/** How often a held process looks whether its hold was lifted. */
const HOLD_POLL_MS = 200;
/** A log larger than this is rotated once (to `.1`) when its process starts. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;

/** What happens to a supervised process, for the screen. */
export type ChildEvent =
  | { readonly type: "started"; readonly name: string; readonly pid: number; readonly restarts: number }
  | { readonly type: "exited"; readonly name: string; readonly how: string; readonly restartInMs: number }
  | { readonly type: "held"; readonly name: string }
  | { readonly type: "stopped"; readonly name: string };

/** How to start one process. */
export interface ChildSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly pidFile: string;
  /** While this file exists the process is kept down: `seamctl process hold NAME`. */
  readonly holdFile: string;
}

/** A supervised process: started again with full-jitter backoff whenever it ends unasked. */
export class Child {
  readonly spec: ChildSpec;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #onEvent: (event: ChildEvent) => void;
  #process: ChildProcess | undefined;
  #restarts = 0;

  constructor(spec: ChildSpec, parts: { clock: Clock; random: Random; onEvent: (event: ChildEvent) => void }) {
    this.spec = spec;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#onEvent = parts.onEvent;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Sends a signal to the running process; false when there is none. */
  kill(signal: NodeJS.Signals): boolean {
    return this.#process?.kill(signal) ?? false;
  }

  /** Runs until `signal` aborts and the process has ended. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      if (existsSync(this.spec.holdFile)) {
        this.#onEvent({ type: "held", name: this.spec.name });
        while (existsSync(this.spec.holdFile) && !signal.aborted) await this.#pause(HOLD_POLL_MS, signal);
        continue;
      }
      const started = this.#clock.monotonic();
      let how: string;
      try {
        how = await this.#runOnce(signal);
      } catch (error) {
        how = `could not start: ${errorMessage(error)}`; // its log cannot be opened, for example on a full disk
      }
      if (signal.aborted) break;
      failures = this.#clock.monotonic() - started >= HEALTHY_RUN_MS ? 0 : failures + 1;
      const delayMs =
        failures <= 1 ? RESTART.baseMs * this.#random.next() : fullJitter(RESTART, failures, this.#random);
      this.#restarts += 1;
      this.#onEvent({ type: "exited", name: this.spec.name, how, restartInMs: Math.round(delayMs) });
      await this.#pause(delayMs, signal);
    }
    this.#onEvent({ type: "stopped", name: this.spec.name });
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(ms, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #runOnce(signal: AbortSignal): Promise<string> {
    rotate(this.spec.logFile);
    const log = openSync(this.spec.logFile, "a", 0o600);
    const logged = fstatSync(log).size;
    // Its own process group: Ctrl-C reaches only the supervisor, which stops the mesh in order. The IPC channel tells the child when
    // the supervisor is gone, so no orphan survives a kill -9 of `up`.
    const child = spawn(this.spec.command, [...this.spec.args], {
      env: this.spec.env,
      stdio: ["ignore", log, log, "ipc"],
      detached: true,
    });
    this.#process = child;
    closeSync(log);
    const exited = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(`could not start: ${error.message}`));
      child.once("exit", (code, by) =>
        resolve(by === null ? exitText(code, lastWords(this.spec.logFile, logged)) : by),
      );
    });
    if (child.pid !== undefined) {
      writePid(this.spec.pidFile, child.pid);
      this.#onEvent({ type: "started", name: this.spec.name, pid: child.pid, restarts: this.#restarts });
    }
    const stop = (): void => {
      child.kill("SIGCONT"); // a stopped process could not obey
      child.kill("SIGTERM");
    };
    const force = new AbortController();
    const onAbort = (): void => {
      stop();
      this.#clock.sleep(STOP_GRACE_MS, force.signal).then(
        () => child.kill("SIGKILL"),
        () => undefined, // it ended in time
      );
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const hold = setInterval(() => {
      if (existsSync(this.spec.holdFile)) stop();
    }, HOLD_POLL_MS);
    hold.unref();
    const how = await exited;
    clearInterval(hold);
    force.abort();
    signal.removeEventListener("abort", onAbort);
    this.#process = undefined;
    rmSync(this.spec.pidFile, { force: true });
    return how;
  }
}

function exitText(code: number | null, said: string): string {
  return `exit code ${code ?? "unknown"}${code !== 0 && said !== "" ? `: ${said}` : ""}`;
}

function writePid(file: string, pid: number): void {
  try {
    writeFileSync(file, `${pid}\n`);
  } catch {
    // the process runs all the same; only a person who looks for its pid misses it, for example on a full disk
  }
}

function rotate(file: string): void {
  if (existsSync(file) && statSync(file).size > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
}
