/**
 * One row of the revision log: what a key became at one resourceVersion. The current state is the newest row per key, the watch
 * history is the rows above the compacted version; both come from the same append, so they cannot disagree.
 */
export interface Revision {
  /** The global resourceVersion of this write. */
  readonly version: number;
  /** Collection id, `group/resource`. */
  readonly collection: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
  /** True when this write removed the object; `body` is then its last state. */
  readonly deleted: boolean;
  /** JSON text of the object as stored. */
  readonly body: string;
}

/** Rows to drop because newer ones made them unreachable. */
export interface Compaction {
  /** Watches and lists from before this version answer 410 from now on. */
  readonly through: number;
  /** Versions of the rows to delete. */
  readonly drop: readonly number[];
}

/** Main thread to worker. */
export type StoreRequest =
  | { readonly type: "open"; readonly directory: string; readonly maxBytes: number }
  | { readonly type: "commit"; readonly revisions: readonly Revision[]; readonly compaction?: Compaction }
  /** Copies the database into a new file, consistent at one commit, while commits go on. */
  | { readonly type: "backup"; readonly file: string }
  | { readonly type: "close" };

/** A failure as it crosses the thread boundary. */
export interface StoreFailure {
  readonly reason: "AlreadyOpen" | "NewerVersion" | "NotWritable" | "DiskFull" | "Corrupt" | "Failed";
  readonly expected: string;
  readonly remedy: string;
}

/** Worker to main thread. */
export type StoreReply =
  | { readonly type: "rows"; readonly revisions: readonly Revision[] }
  | { readonly type: "opened"; readonly version: number; readonly compacted: number }
  | { readonly type: "committed" }
  | { readonly type: "closed" }
  /** Out of turn: requests that came after the backup may be answered before it. */
  | { readonly type: "backedUp"; readonly failure?: StoreFailure }
  | { readonly type: "failed"; readonly failure: StoreFailure };
