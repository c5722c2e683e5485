import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism, constants, setPriority } from "node:os";
import { extname, resolve as resolvePath } from "node:path";
import { findProgram } from "../../test/support/find-program.ts";
import type { Answer, Command } from "./protocol.ts";

/** Which core a child keeps to, where there are two and `taskset` is at hand: server and load do not take each other's time. */
export type Side = "server" | "load";

const FLAGS = ["--expose-gc", "--disable-warning=ExperimentalWarning"];

/** One child process of a bench: commands in, an answer to each. `file` is a path, or a file beside this one. */
export class Child<C extends { readonly type: string } = Command, A = Answer> {
  readonly #process: ChildProcess;

  /** @param options of Node, besides those that every child gets */
  constructor(file: string, side: Side, options: readonly string[] = []) {
    const taskset = availableParallelism() >= 2 ? findProgram("taskset") : undefined;
    const profile = process.env["SEAM_BENCH_PROFILE"];
    const flags = [...FLAGS, ...options, ...(profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`])];
    // Compiled (npm run build), the children are too.
    const program = resolvePath(import.meta.dirname, file).replace(/\.ts$/, extname(import.meta.filename));
    this.#process = fork(program, [], {
      ...(taskset === undefined ? {} : { execPath: taskset }),
      execArgv: taskset === undefined ? flags : ["-c", side === "server" ? "0" : "1", process.execPath, ...flags],
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  ask(command: C): Promise<A> {
    return new Promise((resolve, reject) => {
      const exited = (code: number | null): void => reject(new Error(`bench child exited with ${code}`));
      this.#process.once("exit", exited);
      this.#process.once("message", (reply: { ok: boolean; answer: A; error?: string }) => {
        this.#process.off("exit", exited);
        if (reply.ok) resolve(reply.answer);
        else reject(new Error(reply.error));
      });
      this.#process.send(command);
    });
  }

  /** Kills without warning; resolves when the process is gone. */
  kill(): Promise<void> {
    return this.#end(() => this.#process.kill("SIGKILL"));
  }

  stop(): Promise<void> {
    return this.#end(() => this.#process.send({ type: "stop" }));
  }

  /** Stops the process from running until {@link Child.thaw}: its sockets stay open, nothing is read. */
  freeze(): void {
    this.#process.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process.kill("SIGCONT");
  }

  /** Gives way to the other children on its core, as what runs on machines elsewhere takes nobody's time here. */
  giveWay(): void {
    if (this.#process.pid !== undefined) setPriority(this.#process.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  }

  async #end(how: () => unknown): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#process.once("exit", () => resolve()));
    how();
    await gone;
  }
}
