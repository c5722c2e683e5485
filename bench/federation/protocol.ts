import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

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
    }
  | {
      readonly type: "startClients";
      readonly port: number;
      readonly agents: readonly { readonly cluster: string; readonly tls: TlsMaterial }[];
      /** SPKI PEM that indexes are verified with. */
      readonly publicKeyPem: string;
    }
  /** Answered when `count` streams are live. */
  | { readonly type: "awaitConnected"; readonly count: number }
  /** Answered when all have acknowledged: hub, level applied; floor, any answer. */
  | { readonly type: "change"; readonly bytes: number }
  /** Collects garbage, answers with the process's memory. */
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
  readonly rssBytes?: number;
  readonly heapBytes?: number;
  readonly cpuMs?: number;
}

/** A child as a server of commands, one at a time. */
export function serve(handle: (command: Command) => Promise<Answer>): void {
  process.on("message", (command: Command) => {
    handle(command).then(
      (answer) => process.send?.({ ok: true, answer }),
      (error: unknown) => process.send?.({ ok: false, error: error instanceof Error ? error.stack : String(error) }),
    );
  });
}

/** Memory of this process after garbage collection. */
export async function memory(): Promise<Answer> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rssBytes: rss, heapBytes: heapUsed + external };
}

/** Processor time of this process so far, user and system. */
export function cpu(): Answer {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000 };
}
