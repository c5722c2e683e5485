import { type ChildProcess, fork } from "node:child_process";

/** A child process that speaks typed messages. */
export class ProcessChild<To extends object, From extends { readonly type: string }> {
  readonly process: ChildProcess;
  readonly exited: Promise<void>;
  readonly #listeners = new Set<(message: From) => void>();
  #gone = false;

  constructor(file: URL) {
    this.process = fork(file, [], {
      execArgv: ["--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.exited = new Promise((resolve) =>
      this.process.once("exit", () => {
        this.#gone = true;
        resolve();
      }),
    );
    this.process.on("message", (message: From) => {
      for (const listener of this.#listeners) listener(message);
    });
  }

  send(message: To): void {
    if (this.#gone || !this.process.connected) return;
    // A process that was killed a moment ago cannot hear; whoever waits for its answer hears of its end.
    this.process.send(message, () => {});
  }

  on(listener: (message: From) => void): void {
    this.#listeners.add(listener);
  }

  /** Sends and waits for the first answer of one of the types; rejects when the process ends before. */
  ask<T extends From["type"]>(message: To, type: T): Promise<Extract<From, { type: T }>> {
    return new Promise((resolve, reject) => {
      const listener = (answer: From): void => {
        if (answer.type !== type && answer.type !== "failed") return;
        this.#listeners.delete(listener);
        if (answer.type === type) resolve(answer as Extract<From, { type: T }>);
        else reject(new Error(`child failed: ${JSON.stringify(answer)}`));
      };
      this.#listeners.add(listener);
      void this.exited.then(() => reject(new Error("the child ended before it answered")));
      this.send(message);
    });
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.exited;
  }
}
