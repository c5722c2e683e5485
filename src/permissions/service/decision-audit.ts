import { type Clock, Timestamps } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { ulid } from "../../base/ids.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { DecisionCode } from "../decision/decision-code.ts";
import { combinedResource } from "../../api/rbac/match.ts";
import type { AccessRequest } from "../rules/access-request.ts";

/** Where audit events go; numbering and hash chain are its own. */
export interface AuditLane {
  audit(event: JsonObject): Promise<void>;
}

/** One decision to be logged. */
export interface DecisionRecord {
  readonly decisionId: string;
  readonly requestId: string;
  /** Who asked. */
  readonly caller: string;
  /** Who was asked about. */
  readonly principal: string;
  /** What was asked; undefined for lists. */
  readonly request: AccessRequest | undefined;
  /** `check`, `list`, `whocan` or `explain`. */
  readonly query: string;
  readonly allowed: boolean;
  readonly code: DecisionCode;
  readonly snapshotVersion: string;
  /** `{namespace}/{name}` of the profile whose rule decided, when known. */
  readonly matchedPolicy: string;
}

/** Share of allowed decisions that are logged. */
export const ALLOW_SAMPLE_RATE = 0.01;
/** Events under way at once; beyond it they are counted, not queued (permissions §12.4). */
const MAX_IN_FLIGHT = 1_024;
/** Distinct (principal, verb, resource) remembered per hour for "first seen". */
const MAX_SEEN = 8_192;
const HOUR_MS = 3_600_000;

/** What {@link DecisionAudit} needs. */
export interface DecisionAuditOptions {
  readonly lane: AuditLane;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * Decision log (permissions §12.4): denies always, allows sampled plus the first of each kind per hour, explanations always. Never
 * blocks a decision: what the lane cannot take at once is counted and reported as `authz.dropped`.
 */
export class DecisionAudit {
  readonly #options: DecisionAuditOptions;
  readonly #timestamps = new Timestamps();
  #inFlight = 0;
  #dropped = 0;
  #seen = new Set<string>();
  #seenHour = -1;

  constructor(options: DecisionAuditOptions) {
    this.#options = options;
  }

  /** Decisions that could not be logged since the last report. */
  get dropped(): number {
    return this.#dropped;
  }

  record(record: DecisionRecord, always = false): void {
    if (record.allowed && !always && !this.#isSampled(record)) return;
    if (this.#inFlight >= MAX_IN_FLIGHT) {
      this.#dropped++;
      return;
    }
    this.#send(this.#eventOf(record));
  }

  #send(event: JsonObject): void {
    this.#inFlight++;
    this.#options.lane
      .audit(event)
      .catch((error: unknown) => {
        this.#dropped++;
        this.#options.log.warn({ detail: errorMessage(error) }, "an audit event could not be stored");
      })
      .finally(() => {
        this.#inFlight--;
        this.#reportDropped();
      });
  }

  #reportDropped(): void {
    if (this.#dropped === 0 || this.#inFlight > MAX_IN_FLIGHT / 2) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.#inFlight++;
    this.#options.lane
      .audit({ ...this.#head("authz.dropped"), decision: "system", count })
      .catch((error: unknown) => {
        this.#dropped += count;
        this.#options.log.warn({ detail: errorMessage(error), count }, "dropped decisions could not be reported");
      })
      .finally(() => {
        this.#inFlight--;
      });
  }

  #isSampled(record: DecisionRecord): boolean {
    if (this.#options.random.next() < ALLOW_SAMPLE_RATE) return true;
    const hour = Math.floor(this.#options.clock.monotonic() / HOUR_MS);
    if (hour !== this.#seenHour) {
      this.#seenHour = hour;
      this.#seen.clear();
    }
    if (this.#seen.size >= MAX_SEEN) return false;
    const { request } = record;
    const what =
      request === undefined
        ? ""
        : request.form === "path"
          ? request.path
          : `${request.apiGroup}/${request.resource}/${request.subresource}`;
    const key = `${record.principal}\0${request?.verb ?? record.query}\0${what}`;
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }

  #head(action: string): JsonObject {
    const { clock, random } = this.#options;
    return { eventId: ulid(clock, random), time: this.#timestamps.text(clock.now()), action };
  }

  #eventOf(record: DecisionRecord): JsonObject {
    const { request } = record;
    return {
      ...this.#head("authz.decision"),
      subject: record.principal,
      caller: record.caller,
      query: record.query,
      decision: record.allowed ? "allow" : "deny",
      code: record.code,
      decisionId: record.decisionId,
      snapshotVersion: record.snapshotVersion,
      matchedPolicy: record.matchedPolicy,
      ...(record.requestId !== "" && { requestId: record.requestId }),
      ...(request !== undefined && { verb: request.verb, resource: resourceText(request) }),
      ...(request?.form === "resource" && request.namespace !== "" && { namespace: request.namespace }),
    };
  }
}

function resourceText(request: AccessRequest): string {
  if (request.form === "path") return request.path;
  const group = request.apiGroup === "" ? "" : `.${request.apiGroup}`;
  const name = request.name === "" ? "" : `/${request.name}`;
  return `${combinedResource(request.resource, request.subresource)}${group}${name}`;
}
