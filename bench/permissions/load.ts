import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { LoadCommand, LoadResult } from "./load-child.ts";

/** A process of its own that sends calls, so that the server's processor time is the server's. */
export class Load {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(join(import.meta.dirname, `load-child${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`), [], {
      serialization: "advanced",
    });
  }

  run(command: LoadCommand): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      const exited = (code: number | null): void => reject(new Error(`the load process ended with ${code}`));
      this.#child.once("exit", exited);
      this.#child.once("message", (result: LoadResult) => {
        this.#child.off("exit", exited);
        resolve(result);
      });
      this.#child.send(command);
    });
  }

  async stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    this.#child.disconnect();
    await gone;
  }
}
