import type { AuditSink } from "../hub/ports.ts";
import type { AuditLogReader } from "./audit-log-reader.ts";
import type { AuditQuarantine } from "./quarantine.ts";

/** An open audit sink, whichever store it is on. */
export interface HubAuditSink extends AuditSink, AuditLogReader, AuditQuarantine {
  /**
   * Removes events that were received before `beforeMs` (Unix milliseconds), in small steps, and resolves with their number. What is
   * gone stays counted and explained by a floor (permissions §12.3). @throws the signal's reason
   */
  retain(beforeMs: number, signal: AbortSignal): Promise<number>;
  /** Whether the last attempt to store succeeded; true before the first. Acknowledgements are held back while it is not. */
  state(): AuditSinkState;
  /** Identity of a store that several replicas may share; undefined: it is one replica's own. */
  readonly shared: string | undefined;
  /** What an operator should know about the store although it works. */
  readonly warnings: readonly string[];
  /** Finishes what was asked before, releases the store and the thread. */
  close(): Promise<void>;
}

/** Condition of the sink. */
export type AuditSinkState =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** Unix milliseconds of the first failure since it last worked. */
      readonly sinceMs: number;
      readonly detail: string;
    };
