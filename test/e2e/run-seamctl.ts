import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const SEAMCTL = fileURLToPath(new URL("../../src/bin/seamctl.ts", import.meta.url));

/** A finished command. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running command whose output can be waited for. */
export class RunningCommand {
  readonly process: ChildProcess;
  readonly finished: Promise<Finished>;
  #stdout = "";
  #stderr = "";
  #wake: (() => void)[] = [];

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.process = spawn(process.execPath, [SEAMCTL, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
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
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
        notify();
      });
    });
  }

  /** Resolves when standard output holds `text`; rejects when the command ends without it. */
  async printed(text: string): Promise<string> {
    while (!this.#stdout.includes(text)) {
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`ended without printing ${JSON.stringify(text)}:\n${this.#stdout}\n${this.#stderr}`);
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return this.#stdout;
  }
}

/** Runs seamctl to its end. */
export function seamctl(...args: readonly string[]): Promise<Finished> {
  return new RunningCommand(args).finished;
}
