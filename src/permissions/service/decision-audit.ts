import { type Clock, Timestamps } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { ulid } from "../../base/ids.ts";
import type { JsonObject, JsonValue } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { DecisionCode } from "../decision/decision-code.ts";
import { combinedResource } from "../../api/rbac/match.ts";
import {
  DEFAULT_DECISION_LOG_POLICY,
  type DecisionLogPolicy,
  type LoggedDecision,
  MASKED,
  type MaskableMember,
  ruleFor,
} from "./decision-log-policy.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import { FirstSeen } from "./first-seen.ts";

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
  /** Whose permissions were asked for, where the log is not that cluster's own. */
  readonly cluster?: string;
}

/** Allows under way at once; beyond it they are counted, not queued (permissions §12.4). */
const MAX_ALLOWS_IN_FLIGHT = 1_024;
/**
 * Events under way at once, denies among them: some seconds of a log that stands still at the rate of a busy service. A decision never
 * waits for its log, so beyond this even a deny is counted instead.
 */
const MAX_IN_FLIGHT = 65_536;
/** Distinct (principal, verb, resource) remembered per hour for "first seen". */
const MAX_SEEN = 8_192;
const HOUR_MS = 3_600_000;

/** What {@link DecisionAudit} needs. */
export interface DecisionAuditOptions {
  readonly lane: AuditLane;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly policy?: DecisionLogPolicy;
}

/**
 * Decision log (permissions §12.4): denies always, allows sampled by policy plus the first of each kind per hour, explanations always.
 * Never blocks a decision: allows that the lane cannot take at once are counted and reported as `authz.dropped`, denies only after a
 * far longer queue.
 */
export class DecisionAudit {
  readonly #options: DecisionAuditOptions;
  readonly #timestamps = new Timestamps();
  #inFlight = 0;
  #dropped = 0;
  /** How many of the dropped were denies. */
  #deniesDropped = 0;
  readonly #seen = new FirstSeen(MAX_SEEN);
  #seenHour = -1;

  readonly #policy: DecisionLogPolicy;
  readonly #rules: DecisionLogPolicy["rules"];
  readonly #sampleRate: number;

  constructor(options: DecisionAuditOptions) {
    this.#options = options;
    this.#policy = options.policy ?? DEFAULT_DECISION_LOG_POLICY;
    this.#rules = this.#policy.rules;
    this.#sampleRate = this.#policy.allowSampleRate;
  }

  /** Decisions that could not be logged since the last report. */
  get dropped(): number {
    return this.#dropped;
  }

  record(record: DecisionRecord, always = false): void {
    const rule = this.#rules.length === 0 ? undefined : ruleFor(this.#policy, loggedDecision(record));
    if (record.allowed && !always && !this.#isSampled(record, rule?.allowSampleRate ?? this.#sampleRate)) return;
    if (this.#inFlight >= (record.allowed ? MAX_ALLOWS_IN_FLIGHT : MAX_IN_FLIGHT)) {
      this.#dropped++;
      if (!record.allowed) this.#deniesDropped++;
      return;
    }
    this.#send(masked(this.#eventOf(record), rule?.mask));
  }

  #send(event: JsonObject): void {
    this.#inFlight++;
    this.#options.lane.audit(event).then(this.#stored, (error: unknown) => {
      this.#dropped++;
      if (event["decision"] === "deny") this.#deniesDropped++;
      this.#options.log.warn({ detail: errorMessage(error) }, "an audit event could not be stored");
      this.#stored();
    });
  }

  readonly #stored = (): void => {
    this.#inFlight--;
    this.#reportDropped();
  };

  #reportDropped(): void {
    if (this.#dropped === 0 || this.#inFlight > MAX_ALLOWS_IN_FLIGHT / 2) return;
    const { clock, random } = this.#options;
    const time = this.#timestamps.text(clock.now());
    const count = this.#dropped;
    const denies = this.#deniesDropped;
    this.#dropped = 0;
    this.#deniesDropped = 0;
    this.#inFlight++;
    this.#options.lane
      .audit({ eventId: ulid(clock, random), time, action: "authz.dropped", decision: "system", count, denies })
      .catch((error: unknown) => {
        this.#dropped += count;
        this.#deniesDropped += denies;
        this.#options.log.warn({ detail: errorMessage(error), count }, "dropped decisions could not be reported");
      })
      .finally(() => {
        this.#inFlight--;
      });
  }

  #isSampled(record: DecisionRecord, sampleRate: number): boolean {
    if (sampleRate === 0) return false;
    if (this.#options.random.next() < sampleRate) return true;
    const hour = Math.floor(this.#options.clock.monotonic() / HOUR_MS);
    if (hour !== this.#seenHour) {
      this.#seenHour = hour;
      this.#seen.clear();
    }
    const { principal, request, query } = record;
    if (request === undefined) return this.#seen.add(principal, query, "", "");
    if (request.form === "path") return this.#seen.add(principal, request.verb, "", request.path);
    const { verb, apiGroup, resource, subresource } = request;
    return this.#seen.add(principal, verb, apiGroup, combinedResource(resource, subresource));
  }

  #eventOf(record: DecisionRecord): JsonObject {
    const { clock, random } = this.#options;
    const { request, requestId } = record;
    // One shape, filled in: a decision is logged about as often as it is made.
    const event: Record<string, JsonValue> = {
      eventId: ulid(clock, random),
      time: this.#timestamps.text(clock.now()),
      action: "authz.decision",
      subject: record.principal,
      caller: record.caller,
      query: record.query,
      decision: record.allowed ? "allow" : "deny",
      code: record.code,
      decisionId: record.decisionId,
      snapshotVersion: record.snapshotVersion,
      matchedPolicy: record.matchedPolicy,
    };
    if (requestId !== "") event["requestId"] = requestId;
    if (record.cluster !== undefined) event["details"] = { cluster: record.cluster };
    if (request === undefined) return event;
    event["verb"] = request.verb;
    event["resource"] = resourceText(request);
    if (request.form === "resource" && request.namespace !== "") event["namespace"] = request.namespace;
    return event;
  }
}

/** What a policy looks at. */
function loggedDecision({ principal, request, query }: DecisionRecord): LoggedDecision {
  return {
    principal,
    verb: request?.verb ?? query,
    resource: request === undefined ? "" : resourceText(request),
  };
}

function masked(event: JsonObject, members: readonly MaskableMember[] | undefined): JsonObject {
  if (members === undefined) return event;
  const hidden = members.filter((name) => event[name] !== undefined);
  return { ...event, ...Object.fromEntries(hidden.map((name) => [name, MASKED])) };
}

function resourceText(request: AccessRequest): string {
  if (request.form === "path") return request.path;
  const group = request.apiGroup === "" ? "" : `.${request.apiGroup}`;
  const name = request.name === "" ? "" : `/${request.name}`;
  return `${combinedResource(request.resource, request.subresource)}${group}${name}`;
}
