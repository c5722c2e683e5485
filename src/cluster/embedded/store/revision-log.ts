import { Worker } from "node:worker_threads";
import { SeamError } from "../../../base/errors.ts";
import type { Compaction, Revision, StoreFailure, StoreReply, StoreRequest } from "./revision.ts";

/** What the log needs from its owner while it loads. */
export interface RevisionLogOptions {
  readonly directory: string;
  /** Size limit of the database file. */
  readonly maxBytes: number;
  /** Called with rows in order of version before the log is open. */
  readonly onLoad: (revisions: readonly Revision[]) => void;
}

interface Waiting {
  readonly resolve: (reply: StoreReply) => void;
  readonly reject: (error: Error) => void;
}

/** The durable log behind the object store: a worker thread with SQLite. Commits are answered in order. */
export class RevisionLog {
  readonly #worker: Worker;
  readonly #directory: string;
  readonly #waiting: Waiting[] = [];
  #backup: Waiting | undefined;
  readonly #onLoad: (revisions: readonly Revision[]) => void;
  #ended: Error | undefined;
  version = 0;
  compacted = 0;

  private constructor(options: RevisionLogOptions) {
    this.#directory = options.directory;
    this.#onLoad = options.onLoad;
    // The compiled form of this file sits beside a compiled worker.
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.#worker = new Worker(new URL(`./store-worker.${extension}`, import.meta.url), { execArgv: [] });
    this.#worker.on("message", (reply: StoreReply) => this.#receive(reply));
    this.#worker.on("error", (error: Error) => this.#end(error));
    this.#worker.on("exit", () => this.#end(new Error("the store's worker has ended")));
  }

  /** @throws SeamError `AlreadyOpen`, `NewerVersion`, `NotWritable`, `DiskFull`, `Corrupt` or `Failed`, naming the directory */
  static async open(options: RevisionLogOptions): Promise<RevisionLog> {
    const log = new RevisionLog(options);
    try {
      const reply = await log.#request({
        type: "open",
        directory: options.directory,
        maxBytes: options.maxBytes,
      });
      if (reply.type === "opened") {
        log.version = reply.version;
        log.compacted = reply.compacted;
      }
      return log;
    } catch (error) {
      await log.#worker.terminate();
      throw error;
    }
  }

  #receive(reply: StoreReply): void {
    if (reply.type === "rows") {
      this.#onLoad(reply.revisions);
      return;
    }
    if (reply.type === "backedUp") {
      if (reply.failure) this.#backup?.reject(this.#error(reply.failure));
      else this.#backup?.resolve(reply);
      this.#backup = undefined;
      return;
    }
    const waiting = this.#waiting.shift();
    if (reply.type === "failed") waiting?.reject(this.#error(reply.failure));
    else waiting?.resolve(reply);
  }

  #error(failure: StoreFailure): SeamError {
    return new SeamError({
      reason: failure.reason,
      object: `cluster directory ${this.#directory}`,
      expected: failure.expected,
      remedy: failure.remedy,
    });
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
    this.#backup?.reject(error);
    this.#backup = undefined;
  }

  #request(request: StoreRequest): Promise<StoreReply> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  /** Resolves when all rows are durable; rejects when none of them is. */
  async commit(revisions: readonly Revision[], compaction?: Compaction): Promise<void> {
    await this.#request(compaction ? { type: "commit", revisions, compaction } : { type: "commit", revisions });
  }

  /**
   * Copies the database into `file`, which must not exist, while commits go on. One at a time: a second call is refused.
   *
   * @throws SeamError
   */
  async backup(file: string): Promise<void> {
    if (this.#ended) throw this.#ended;
    if (this.#backup) {
      throw new SeamError({
        reason: "BackupRunning",
        object: `cluster directory ${this.#directory}`,
        expected: "one backup at a time, but one is being made",
        remedy: "wait for it",
      });
    }
    await new Promise((resolve, reject) => {
      this.#backup = { resolve, reject };
      const request: StoreRequest = { type: "backup", file };
      this.#worker.postMessage(request);
    });
  }

  /** Closes the database and ends the worker. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#request({ type: "close" });
    await this.#worker.terminate();
  }
}
