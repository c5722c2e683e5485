import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

/** Objects that every tenant holds from the start, healthy; the same bodies for all, so that a hub shares them. */
export interface Population {
  readonly objects: number;
  /** Size of each body. */
  readonly bytes: number;
  /** How many of them `changeUnseen` changes. */
  readonly changed: number;
  /**
   * File of the indexes and levels that outlive a hub. The agents begin with what it says: their stores hold the index and its items, and
   * not the bodies, which nobody reads again.
   */
  readonly file: string;
}

/** Commits at an even pace. */
export interface Pace {
  /** Changes a second, over all clusters together; they take turns. */
  readonly perSecond: number;
  readonly changes: number;
  readonly bytes: number;
  /** Groups of clusters whose latencies are told apart; clusters in none are changed too and not told. */
  readonly groups: readonly (readonly string[])[];
}

/** What the bench asks its child processes, over the IPC channel of fork. */
export type Command =
  | {
      readonly type: "startServer";
      readonly port: number;
      readonly tls: TlsMaterial;
      readonly clusters: readonly string[];
      /** PKCS#8 PEM of the index signer. */
      readonly signingKeyPem: string;
      /** Admission as in production, or wide open. */
      readonly admission: "default" | "open";
      /** Ordering epoch of the indexes, Unix seconds: the same after a restart. */
      readonly epoch: number;
      readonly population?: Population;
    }
  | {
      readonly type: "startClients";
      readonly port: number;
      readonly agents: readonly { readonly cluster: string; readonly tls: TlsMaterial }[];
      /** SPKI PEM that indexes are verified with. */
      readonly publicKeyPem: string;
      /** Folder of a durable store on disk for each agent; absent: SQLite in memory. */
      readonly stores?: string;
      /** {@link Population.file}; absent: the agents begin with nothing. */
      readonly held?: string;
    }
  /** Answered when `count` streams are live. */
  | { readonly type: "awaitConnected"; readonly count: number }
  /** Signs an index with the changed objects of the population for every tenant into its file, as another replica does just before this one is killed. */
  | { readonly type: "changeUnseen" }
  /** Sends agents away and back to this hub, as a replica does that evens out its load; answered when all are back. */
  | { readonly type: "sendAway"; readonly clusters: readonly string[] }
  /** Answered when every agent holds its whole index and has applied all of it. */
  | { readonly type: "awaitSettled"; readonly clusters: readonly string[] }
  /** One change to each of some clusters at once. Answered when all have acknowledged: hub, level applied; floor, any answer. */
  | { readonly type: "change"; readonly bytes: number; readonly clusters?: readonly string[] }
  /** `objects` new objects to one cluster at once, each its own commit; answered when all are healthy. */
  | { readonly type: "burst"; readonly cluster: string; readonly objects: number; readonly bytes: number }
  /** Changes at an even pace; answered when the last has been acknowledged by all groups. */
  | { readonly type: "pace"; readonly pace: Pace }
  /** `changes` changes to each cluster as fast as they can be signed; answered when all have applied the last. */
  | { readonly type: "storm"; readonly clusters: readonly string[]; readonly changes: number; readonly bytes: number }
  /** A storm as above, and in the middle of it one revocation for every cluster; answered when all are in effect and all applied: until each is in effect, and until each has left. */
  | {
      readonly type: "revoke";
      readonly clusters: readonly string[];
      readonly changes: number;
      readonly bytes: number;
    }
  /** Passes bytes on to a port; answered with the port to dial instead. */
  | { readonly type: "relay"; readonly port: number }
  /** Answers with what left and came since the last time it was asked. */
  | { readonly type: "traffic" }
  /** Collects garbage, answers with the process's memory and handles. */
  | { readonly type: "memory" }
  /** Answers with the processor time this process has used. */
  | { readonly type: "cpu" }
  | { readonly type: "stop" };

/** What they answer. */
export interface Answer {
  readonly port?: number;
  /** Milliseconds, by the server's own monotonic clock. */
  readonly elapsedMs?: number;
  /** Share of `elapsedMs` that building and signing indexes took. */
  readonly signingMs?: number;
  /** From commit to applied, milliseconds, of each change; one list for each group of a pace. */
  readonly latenciesMs?: readonly (readonly number[])[];
  readonly rssBytes?: number;
  readonly heapBytes?: number;
  /** Open sockets, timers and the like, and file descriptors where the system tells. */
  readonly handles?: number;
  readonly cpuMs?: number;
  readonly traffic?: Traffic;
}

/** Frames and bytes of a hub's streams. */
export interface Traffic {
  readonly framesOut: number;
  readonly bytesOut: number;
  readonly framesIn: number;
  readonly bytesIn: number;
  /** Frames by payload, `out:indexOffer`. */
  readonly byType: Readonly<Record<string, number>>;
}

/** A child as a server of commands, one at a time; returns what handles them. */
export function serve<C>(handle: (command: C) => Promise<object>): (command: C) => Promise<object> {
  process.on("message", (command: C) => {
    handle(command).then(
      (answer) => process.send?.({ ok: true, answer }),
      (error: unknown) => process.send?.({ ok: false, error: error instanceof Error ? error.stack : String(error) }),
    );
  });
  process.on("disconnect", () => process.exit(0));
  return handle;
}

/** Memory of this process after garbage collection, and what it holds open. */
export async function memory(): Promise<Answer> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rssBytes: rss, heapBytes: heapUsed + external, handles: process.getActiveResourcesInfo().length };
}

/** Processor time of this process so far, user and system. */
export function cpu(): Answer {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000 };
}
