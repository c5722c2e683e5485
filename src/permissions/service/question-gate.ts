import type { Consistency } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { CallContext } from "../../api/grpc/call-context.ts";
import type { Clock } from "../../base/clock.ts";
import { ulid } from "../../base/ids.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";
import { type Decision, check } from "../decision/check.ts";
import type { DecisionCode } from "../decision/decision-code.ts";
import type { PrincipalContext } from "../decision/principal-context.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import type { Freshness } from "../store/freshness.ts";
import type { HeldSnapshot, Refusal, SnapshotReader } from "../store/snapshot-reader.ts";
import { type QueryVerb, asksAboutItself, hasQueryRight, isOperator } from "./caller.ts";
import { requirementOf, waitFor } from "./consistency.ts";
import type { ServiceFacts } from "./status-answer.ts";
import type { DecisionAudit } from "./decision-audit.ts";
import { DecisionCounts } from "./decision-counts.ts";
import { isUnreviewed } from "./unreviewed-caller.ts";
import type { FieldViolations } from "./field-violations.ts";
import { type AnswerMeta, AnswerMetas } from "./answer-meta.ts";

/** What every handler works with. */
export interface QuestionParts {
  readonly store: SnapshotReader;
  readonly audit: Pick<DecisionAudit, "record">;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  /** What GetStatus says of the process around the service. */
  readonly facts?: ServiceFacts;
}

/** A question that can be answered, or the code for why not. */
export interface Gate {
  readonly decisionId: string;
  readonly meta: AnswerMeta;
  /** Set when there is an answer. */
  readonly snapshot: HeldSnapshot | undefined;
  /** Of the store when the gate was passed. */
  readonly freshness: Freshness;
  /** Set when there is none. */
  readonly refusal: Refusal | undefined;
}

/** What was answered, for the record. */
export interface Answered {
  readonly query: QueryVerb;
  readonly principal: string;
  readonly requestId: string;
  readonly request?: AccessRequest;
  readonly allowed: boolean;
  readonly code: DecisionCode;
  /** Logged even when it is an allow that would not be sampled. */
  readonly always?: boolean;
  readonly matchedPolicy?: string;
}

/** Fields that every question has. */
export interface CommonFields {
  readonly cluster: string;
  readonly consistency?: Consistency | undefined;
  readonly requestId: string;
}

/** One question as its gate sees it. */
export interface Question {
  readonly query: QueryVerb;
  /** Who is asked about; undefined for everybody. */
  readonly about: PrincipalContext | undefined;
  readonly common: CommonFields;
  /** For the error text: the method. */
  readonly method: string;
}

const MAX_REQUEST_ID = 128;
/** The gate saw a snapshot or refused: what a handler says when both are missing. */
export const NOT_LOADED: Refusal = {
  code: "SNAPSHOT_NOT_LOADED",
  reason: "local permission snapshot not yet loaded; nothing was verified so far",
};

const TOO_OLD: Refusal = { code: "SNAPSHOT_TOO_OLD", reason: "no snapshot as new as required within the wait" };

/** Decides, in the order of permissions §11, whether a question is answered at all; and logs what was answered. */
export class QuestionGate {
  readonly parts: QuestionParts;
  /** `meta` of every answer. */
  readonly metas = new AnswerMetas();
  readonly #counts: DecisionCounts;

  constructor(parts: QuestionParts) {
    this.parts = parts;
    this.#counts = new DecisionCounts(parts.metrics);
  }

  /**
   * Malformed input is refused; then the wanted consistency is waited for, so that the answer rests on the snapshot that met it. A
   * promise only when there is something to wait for: most questions are answered at once.
   *
   * @throws GrpcStatusError INVALID_ARGUMENT, at once
   */
  open(context: CallContext, question: Question, violations: FieldViolations): Gate | Promise<Gate> {
    const { store, clock } = this.parts;
    const { cluster, requestId, consistency } = question.common;
    violations.text("cluster", cluster);
    violations.text("requestId", requestId, { max: MAX_REQUEST_ID });
    const requirement = requirementOf(consistency, violations);
    violations.throwIfAny(question.method);
    const served = cluster === "" || cluster === store.cluster;
    if (requirement === undefined || !served) return this.#gate(context, question, true);
    return waitFor(requirement, store, clock, context.signal).then((met) => this.#gate(context, question, met));
  }

  #gate(context: CallContext, question: Question, met: boolean): Gate {
    const { store, clock } = this.parts;
    const state = store.state();
    const refusal = this.#refusal(context, question, state.freshness);
    // Not loaded, expired and revoked say more than "too old".
    const decisionId = ulid(clock, this.parts.random);
    return {
      decisionId,
      meta: this.metas.of(store.current, state, decisionId),
      snapshot: store.current,
      freshness: state.freshness,
      refusal: refusal ?? (met ? undefined : TOO_OLD),
    };
  }

  /** One decision behind its gate. */
  decide(gate: Gate, about: PrincipalContext, request: AccessRequest): Decision {
    const refusal = gate.refusal ?? (gate.snapshot === undefined ? NOT_LOADED : undefined);
    if (refusal !== undefined || gate.snapshot === undefined) {
      const { code, reason } = refusal ?? NOT_LOADED;
      return { allowed: false, code, reason, conditionalNames: [] };
    }
    return check(gate.snapshot.index, about, request, this.parts.clock.now());
  }

  /** Counts and logs an answer. */
  record(context: CallContext, gate: Gate, answered: Answered): void {
    this.#counts.add(answered.code, gate.freshness);
    this.parts.audit.record(
      {
        query: answered.query,
        principal: answered.principal,
        requestId: answered.requestId,
        request: answered.request,
        allowed: answered.allowed,
        code: answered.code,
        matchedPolicy: answered.matchedPolicy ?? "",
        decisionId: gate.decisionId,
        caller: context.principal?.name ?? "",
        snapshotVersion: gate.snapshot?.statement.version ?? "",
      },
      answered.always,
    );
  }

  #refusal(context: CallContext, { query, about, common }: Question, freshness: Freshness): Refusal | undefined {
    const { store, clock } = this.parts;
    if (common.cluster !== "" && common.cluster !== store.cluster)
      return {
        code: "CLUSTER_NOT_SERVED",
        reason: `this service answers for cluster ${store.cluster}, not for ${common.cluster}`,
      };
    if (store.refusal !== undefined) return store.refusal;
    switch (freshness) {
      case "NOT_READY":
        return NOT_LOADED;
      case "EXPIRED":
        return {
          code: "SNAPSHOT_EXPIRED",
          reason: "the permission snapshot was not renewed in time; it decides no more",
        };
      case "REVOKED":
        return { code: "SNAPSHOT_REVOKED", reason: "the permission snapshot was revoked; a newer one is awaited" };
      case "FRESH":
      case "STALE":
        break;
    }
    const caller = context.principal;
    if (isUnreviewed(caller))
      return {
        code: "CALLER_NOT_AUTHORIZED",
        reason:
          "the caller's token could not be reviewed, the API server does not answer; ask again or with a certificate",
      };
    const index = store.current?.index;
    const mayAsk =
      caller !== undefined &&
      index !== undefined &&
      (isOperator(caller) ||
        (about !== undefined && asksAboutItself(caller, about)) ||
        hasQueryRight(index, caller, query, clock.now()));
    if (mayAsk) return undefined;
    return {
      code: "CALLER_NOT_AUTHORIZED",
      reason: `${caller?.name ?? "an anonymous caller"} may ask only about itself; asking about others needs verb ${query} on permissionqueries.guardian.ontai.dev`,
    };
  }
}
