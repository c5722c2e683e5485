import { type ErrorParts, SeamError, errorMessage } from "../../base/errors.ts";
import type { AuditChain, AuditScan } from "./audit-log-reader.ts";
import type { ChainState } from "./audit-verification.ts";
import type { QuarantineAsk } from "./quarantine.ts";
import type { PackedBatch } from "./sink-batch.ts";

/** From the main thread to a sink's worker. */
export type ToSinkWorker = SinkWrite | SinkLook | { readonly type: "close" };

/** What a session waits for. */
export type SinkWrite =
  | {
      readonly type: "append";
      readonly id: number;
      readonly cluster: string;
      readonly batch: PackedBatch;
      readonly nowMs: number;
    }
  | { readonly type: "position"; readonly id: number; readonly cluster: string; readonly epoch: bigint };

/** One bounded look at the log, or one step of retention; never ahead of writes. */
export type SinkLook =
  | { readonly type: "scan"; readonly id: number; readonly scan: AuditScan }
  | { readonly type: "newest"; readonly id: number }
  | { readonly type: "chains"; readonly id: number; readonly cluster: string | undefined }
  | { readonly type: "verify"; readonly id: number; readonly chain: AuditChain; readonly state: ChainState | undefined }
  | {
      readonly type: "retain";
      readonly id: number;
      readonly cluster: string;
      readonly epoch: bigint;
      readonly before: string;
      readonly nowMs: number;
    }
  /** The quarantine, and the removal of one of its entries. */
  | { readonly type: "quarantine"; readonly id: number; readonly ask: QuarantineAsk }
  /** One small durable write, to see whether the store takes any. */
  | { readonly type: "probe"; readonly id: number }
  /** After a round of retention: give back the space of what was removed. */
  | { readonly type: "sweep"; readonly id: number; readonly before: string };

/** From a sink's worker to the main thread. */
export type FromSinkWorker =
  | { readonly type: "opened"; readonly warnings: readonly string[]; readonly shared: string | undefined }
  | ({ readonly type: "openFailed" } & WorkerError)
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | ({ readonly type: "failure"; readonly id: number } & WorkerError);

/** An error as it crosses threads: a class does not. */
export interface WorkerError {
  readonly message: string;
  readonly parts: ErrorParts | undefined;
}

/** An error on its way to the main thread. */
export function workerError(error: unknown): WorkerError {
  return { message: errorMessage(error), parts: error instanceof SeamError ? error.parts : undefined };
}

/** The error that crossed. */
export function revived({ message, parts }: WorkerError): Error {
  return parts === undefined ? new Error(message) : new SeamError(parts);
}
