import { existsSync } from "node:fs";
import type { Clock } from "../../../base/clock.ts";
import type { DecisionLogState } from "../../../permissions/service/status-answer.ts";
import type { StoreRecovery } from "../../outbox/recover-store.ts";
import type { StoreUnavailable } from "../../outbox/reopening-outbox.ts";
import type { AuditLogState } from "../ports.ts";

/** A damaged store that was put aside, as conditions and people name it. */
export interface QuarantinedLog {
  readonly path: string;
  /** What came of it; absent for one that was put aside by an earlier process. */
  readonly recovery?: StoreRecovery;
}

/** Everything that is to be said of a tenant's audit log. */
export interface AuditLogCondition {
  /** As far as the open store told. */
  readonly pressure: AuditLogState | undefined;
  readonly unavailable: StoreUnavailable | undefined;
  readonly corrupt: QuarantinedLog | undefined;
}

/** How often it is looked whether somebody took a damaged store away, milliseconds. */
const LOOK_MS = 60_000;

/** What {@link AuditLogHealth} works with. */
export interface AuditLogHealthParts {
  /** Hears of every change. */
  readonly told: (condition: AuditLogCondition) => void;
  /** Audit events that wait in memory, and those that found no place. */
  readonly memory: () => { readonly waiting: number; readonly missed: number };
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Puts together what is known of the audit log, for the RunnerConfig and for GetStatus. */
export class AuditLogHealth {
  /** Resolves when nothing is looked at any more. */
  readonly closed: Promise<void>;
  readonly #parts: AuditLogHealthParts;
  #condition: AuditLogCondition = { pressure: undefined, unavailable: undefined, corrupt: undefined };

  constructor(parts: AuditLogHealthParts) {
    this.#parts = parts;
    this.closed = this.#look();
  }

  pressure(pressure: AuditLogState): void {
    this.#set({ pressure });
  }

  unavailable(unavailable: StoreUnavailable | undefined): void {
    this.#set({ unavailable });
  }

  /** A store was found damaged now. */
  recovered(recovery: StoreRecovery): void {
    this.#set({ corrupt: { path: recovery.quarantined, recovery } });
  }

  /** Stores that were put aside before are still there: somebody has to look at them. */
  quarantined(paths: readonly string[]): void {
    const path = paths.at(-1);
    if (path !== undefined && this.#condition.corrupt === undefined) this.#set({ corrupt: { path } });
  }

  /** For GetStatus. */
  state(): DecisionLogState {
    const { pressure, unavailable, corrupt } = this.#condition;
    const more = { ...this.#parts.memory(), corrupt: corrupt?.path ?? "" };
    if (unavailable !== undefined) return { state: "UNAVAILABLE", detail: unavailable.detail, ...more };
    switch (pressure?.pressure) {
      case "full":
        return { state: "FULL", detail: `${pressure.dropped} allowed decisions were dropped`, ...more };
      case "nearFull":
        return { state: "NEAR_FULL", detail: "of the allowed decisions 1 in 10 is logged", ...more };
      default:
        return { state: "OPEN", detail: "", ...more };
    }
  }

  #set(change: Partial<AuditLogCondition>): void {
    this.#condition = { ...this.#condition, ...change };
    this.#parts.told(this.#condition);
  }

  /** The condition ends when the evidence was taken away. */
  async #look(): Promise<void> {
    const { clock, signal } = this.#parts;
    while (!signal.aborted) {
      await clock.sleep(LOOK_MS, signal).catch(() => {
        // the agent stops
      });
      const { corrupt } = this.#condition;
      if (corrupt !== undefined && !signal.aborted && !existsSync(corrupt.path)) this.#set({ corrupt: undefined });
    }
  }
}
