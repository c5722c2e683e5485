import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SeamError } from "../../src/base/errors.ts";
import { tenantNames } from "../../src/roles/mesh/mesh.ts";
import { portClaims, requireFreePorts } from "../../src/roles/mesh/ports.ts";

const SEAMCTL = fileURLToPath(new URL("../../src/bin/seamctl.ts", import.meta.url));

/**
 * First offset of these suites: so high that PermissionService (50051 + offset) is above the ports that the kernel lends to outgoing
 * connections (up to 60999), which nobody can reserve.
 */
const FIRST_OFFSET = 10_960;
const LAST_OFFSET = 14_900;
/** Tenants of the largest mesh of these suites. */
const MOST_TENANTS = 3;
/** Hub replicas of the largest one. */
const MOST_REPLICAS = 3;

/** An offset whose ports are all free now, whatever a person or another run of these suites has started. */
export async function freeOffset(): Promise<number> {
  const steps = Math.floor((LAST_OFFSET - FIRST_OFFSET) / 10);
  const first = Math.floor(Math.random() * steps);
  for (let step = 0; step < steps; step++) {
    const offset = FIRST_OFFSET + ((first + step) % steps) * 10;
    try {
      await requireFreePorts(portClaims(tenantNames(MOST_TENANTS), offset, MOST_REPLICAS));
      return offset;
    } catch (error) {
      if (!(error instanceof SeamError)) throw error; // taken: the next one
    }
  }
  throw new Error(`no free port offset from ${FIRST_OFFSET} to ${LAST_OFFSET}`);
}

/** Commands under way, so that a failed test leaves none behind; the processes of a killed `up` end by themselves. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A finished command. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface RunOptions {
  /** Another user, as root may. */
  readonly uid?: number;
  readonly cwd?: string;
}

/** A running command whose output can be waited for. */
export class RunningCommand {
  readonly process: ChildProcess;
  readonly finished: Promise<Finished>;
  #stdout = "";
  #stderr = "";
  #wake: (() => void)[] = [];

  constructor(args: readonly string[], options: RunOptions = {}) {
    const { uid } = options;
    this.process = spawn(process.execPath, [SEAMCTL, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      ...(uid !== undefined && { uid, gid: uid }),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    running.add(this.process);
    const notify = (): void => {
      for (const wake of this.#wake.splice(0)) wake();
    };
    this.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
      notify();
    });
    this.process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
      notify();
    });
    this.finished = new Promise((resolve, reject) => {
      this.process.once("error", reject);
      this.process.once("close", (code) => {
        running.delete(this.process);
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
        notify();
      });
    });
  }

  /** Resolves when standard output holds `text` after its first `from` characters; rejects when the command ends without it. */
  async printed(text: string, from = 0): Promise<string> {
    while (!this.#stdout.includes(text, from)) {
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`ended without printing ${JSON.stringify(text)}:\n${this.#stdout}\n${this.#stderr}`);
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return this.#stdout;
  }

  /** Ctrl-C; kills it when it does not end. Resolves when it has ended. */
  async stop(): Promise<Finished> {
    this.process.kill("SIGINT");
    const last = setTimeout(() => this.process.kill("SIGKILL"), 10_000);
    const finished = await this.finished;
    clearTimeout(last);
    return finished;
  }
}

/** Runs seamctl to its end. */
export function seamctl(...args: readonly string[]): Promise<Finished> {
  return new RunningCommand(args).finished;
}

/** Starts `up` and resolves when it is ready. */
export async function meshUp(directory: string, offset: number, ...flags: readonly string[]): Promise<RunningCommand> {
  const up = new RunningCommand(["up", "--dir", directory, "--port-offset", String(offset), ...flags]);
  await up.printed("ready in");
  return up;
}
