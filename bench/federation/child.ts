import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { Answer, Command } from "./protocol.ts";

/** One child process of the bench. */
export class Child {
  readonly #process: ChildProcess;

  constructor(file: string) {
    this.#process = fork(join(import.meta.dirname, file), [], {
      execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  ask(command: Command): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const exited = (code: number | null): void => reject(new Error(`bench child exited with ${code}`));
      this.#process.once("exit", exited);
      this.#process.once("message", (reply: { ok: boolean; answer: Answer; error?: string }) => {
        this.#process.off("exit", exited);
        if (reply.ok) resolve(reply.answer);
        else reject(new Error(reply.error));
      });
      this.#process.send(command);
    });
  }

  /** Kills without warning; resolves when the process is gone. */
  async kill(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#process.once("exit", () => resolve()));
    this.#process.kill("SIGKILL");
    await gone;
  }

  async stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#process.once("exit", () => resolve()));
    this.#process.send({ type: "stop" } satisfies Command);
    await gone;
  }
}
