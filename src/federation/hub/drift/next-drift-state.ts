import { correctionId } from "../../../packs/manifest/correction.ts";

/** States of a DriftSignal (conductor §9.2). */
export type SignalState = "pending" | "delivered" | "queued" | "confirmed";

/** What decides about a DriftSignal: the part of its spec that moves, and the hub's bookkeeping. */
export interface DriftState {
  readonly state: SignalState;
  /** UUID v4 of the drift event. */
  readonly correlationId: string;
  /** First observation, Unix milliseconds. */
  readonly observedAtMs: number;
  /** Failed corrections. */
  readonly escalationCounter: number;
  /** When the corrector admitted the last attempt, Unix milliseconds. */
  readonly lastAttemptAtMs?: number;
  /**
   * True while what is queued is a delivery that was under way anyway: its end is not reported as that of a correction, so a healthy
   * pack is all there is to wait for. The agent judges nothing while it runs.
   */
  readonly byDelivery?: boolean;
  readonly book: DriftBook;
}

/** The hub's bookkeeping, kept with the object so that one conditional write moves everything. Times are Unix milliseconds. */
export interface DriftBook {
  /** Since when it waits for the corrector. */
  readonly deliveredAtMs?: number;
  readonly confirmedAtMs?: number;
  /** Confirmed because a person asked for a fresh start: the next drift counts from 0. */
  readonly reset?: boolean;
  /** The current attempt, once the agent said it succeeded. */
  readonly succeeded?: { readonly id: string; readonly atMs: number };
  /** What became of the attempt that ended last. */
  readonly lastAttempt?: "Succeeded" | "Failed";
  /** No further attempts until a person acts. */
  readonly terminal?: boolean;
  /** Value of the redeploy annotation when it became terminal: only another value is a new request. */
  readonly redeploySeen?: string;
}

/** What can happen to a signal. */
export type DriftEvent =
  /** The agent reports drift, seen in two consecutive checks, with the attempt that ended last on it. */
  | { readonly type: "Drifted"; readonly observedAtMs: number; readonly correction?: EndedAttempt }
  /** The agent reports InSync in two consecutive checks. */
  | { readonly type: "Healthy"; readonly correction?: EndedAttempt }
  /** The acknowledgement of the report left for the agent. */
  | { readonly type: "Acknowledged" }
  /** A person set `seam.ontai.dev/redeploy`. */
  | { readonly type: "Redeploy" };

/** An attempt that ended at the agent. */
export interface EndedAttempt {
  /** `{correlationId}/{attempt}`. */
  readonly id: string;
  readonly applied: boolean;
}

/** Numbers of the machine. */
export interface DriftRules {
  /** Failed corrections that end in TerminalDrift. Default 3. */
  readonly threshold: number;
  /** How long after a successful attempt drift may still be reported: two check intervals, at least 120 s (conductor §9.3). */
  readonly settleMs: number;
  /** New drift this soon after confirmation continues the counter. Default 30 min. */
  readonly flapMs: number;
  /** An attempt that reports nothing for so long has failed: longer than any delivery's budget. */
  readonly attemptTimeoutMs: number;
}

/** The rules of conductor §9.3. */
export const DRIFT_RULES: DriftRules = {
  threshold: 3,
  settleMs: 120_000,
  flapMs: 1_800_000,
  attemptTimeoutMs: 15_300_000,
};

/** What the machine is told besides the event. */
export interface DriftMoment {
  readonly nowMs: number;
  /** Used when a new drift event begins. */
  readonly newCorrelationId: string;
  /** While the channel is degraded no counter moves and no correction starts. */
  readonly degraded: boolean;
  /** Value of the redeploy annotation now; empty when there is none. */
  readonly redeploy: string;
}

/**
 * The table of conductor §9.3, without I/O. Returns the same object when nothing changes; undefined in and out is "no signal".
 * `queued` is entered by the corrector alone and never from here.
 */
export function nextDriftState(
  current: DriftState | undefined,
  event: DriftEvent,
  moment: DriftMoment,
  rules: DriftRules = DRIFT_RULES,
): DriftState | undefined {
  switch (event.type) {
    case "Drifted":
      return drifted(current, event, moment, rules);
    case "Healthy":
      return healthy(current, event, moment, rules);
    case "Acknowledged":
      return current?.state === "pending"
        ? { ...current, state: "delivered", book: { ...current.book, deliveredAtMs: moment.nowMs } }
        : current;
    case "Redeploy":
      return redeploy(current, moment);
  }
}

function drifted(
  current: DriftState | undefined,
  event: Extract<DriftEvent, { type: "Drifted" }>,
  moment: DriftMoment,
  rules: DriftRules,
): DriftState {
  if (current === undefined) return begin(0, event, moment, rules);
  switch (current.state) {
    case "pending":
    case "delivered":
      return current;
    case "confirmed": {
      const { confirmedAtMs = 0, reset = false } = current.book;
      const flapping = !reset && moment.nowMs - confirmedAtMs < rules.flapMs;
      return begin(flapping ? current.escalationCounter : 0, event, moment, rules);
    }
    case "queued":
      return duringAttempt(current, event, moment, rules);
  }
}

function begin(
  escalationCounter: number,
  event: { readonly observedAtMs: number },
  moment: DriftMoment,
  rules: DriftRules,
): DriftState {
  const terminal = escalationCounter >= rules.threshold;
  return {
    state: "pending",
    correlationId: moment.newCorrelationId,
    observedAtMs: event.observedAtMs,
    escalationCounter,
    book: terminal ? { terminal, redeploySeen: moment.redeploy } : {},
  };
}

function duringAttempt(
  current: DriftState,
  event: Extract<DriftEvent, { type: "Drifted" }>,
  moment: DriftMoment,
  rules: DriftRules,
): DriftState {
  if (moment.degraded) return current;
  if (!ended(current, event.correction))
    return overdue(current, moment, rules) ? failedAttempt(current, moment, rules) : current;
  if (event.correction?.applied === false) return failedAttempt(current, moment, rules);
  const { succeeded } = current.book;
  if (succeeded === undefined || succeeded.id !== event.correction?.id) {
    const id = event.correction?.id ?? "";
    return { ...current, book: { ...current.book, succeeded: { id, atMs: moment.nowMs }, lastAttempt: "Succeeded" } };
  }
  return moment.nowMs - succeeded.atMs >= rules.settleMs ? failedAttempt(current, moment, rules) : current;
}

/** The counter counts failed corrections, never checks. */
function failedAttempt(current: DriftState, moment: DriftMoment, rules: DriftRules): DriftState {
  const escalationCounter = current.escalationCounter + 1;
  const { succeeded: _over, ...book } = current.book;
  const terminal = escalationCounter >= rules.threshold;
  return {
    ...current,
    state: "delivered",
    escalationCounter,
    book: {
      ...book,
      deliveredAtMs: moment.nowMs,
      lastAttempt: "Failed",
      ...(terminal ? { terminal, redeploySeen: moment.redeploy } : {}),
    },
  };
}

function healthy(
  current: DriftState | undefined,
  event: Extract<DriftEvent, { type: "Healthy" }>,
  moment: DriftMoment,
  rules: DriftRules,
): DriftState | undefined {
  if (current === undefined || current.state === "confirmed") return current;
  // In sync by other means while an attempt is under way: its outcome is still to come.
  const waits = current.state === "queued" && current.byDelivery !== true;
  if (waits && !ended(current, event.correction) && !overdue(current, moment, rules)) return current;
  const attempt = current.state === "queued" && event.correction ? { lastAttempt: outcome(event.correction) } : {};
  return {
    ...current,
    state: "confirmed",
    book: { ...lastAttemptOf(current.book), ...attempt, confirmedAtMs: moment.nowMs },
  };
}

function redeploy(current: DriftState | undefined, moment: DriftMoment): DriftState | undefined {
  if (current?.book.terminal !== true || current.state === "confirmed") return current;
  return { ...current, state: "confirmed", book: { confirmedAtMs: moment.nowMs, reset: true } };
}

/** True when the attempt that is queued now is the one that ended. */
function ended(current: DriftState, correction: EndedAttempt | undefined): boolean {
  return correction !== undefined && correction.id === currentAttemptId(current);
}

/** Id of the attempt a queued signal waits for: attempts count on from the failed ones. */
export function currentAttemptId(current: Pick<DriftState, "correlationId" | "escalationCounter">): string {
  return correctionId({ correlationId: current.correlationId, attempt: current.escalationCounter + 1 });
}

function overdue(current: DriftState, moment: DriftMoment, rules: DriftRules): boolean {
  return moment.nowMs - (current.lastAttemptAtMs ?? moment.nowMs) >= rules.attemptTimeoutMs;
}

function outcome(attempt: EndedAttempt): "Succeeded" | "Failed" {
  return attempt.applied ? "Succeeded" : "Failed";
}

function lastAttemptOf(book: DriftBook): DriftBook {
  return book.lastAttempt === undefined ? {} : { lastAttempt: book.lastAttempt };
}
