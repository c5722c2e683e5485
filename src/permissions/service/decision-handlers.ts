import {
  type BatchCheckPermissionRequest,
  type CheckPermissionRequest,
  type ExplainDecisionRequest,
  type PermissionService,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { clusterOfNamespace } from "../../api/names.ts";
import type { CallContext } from "../../api/grpc/call-context.ts";
import type { ServiceHandlers } from "../../api/grpc/service-implementation.ts";
import { nextTurn } from "../../base/next-turn.ts";
import type { Decision } from "../decision/check.ts";
import type { PrincipalContext } from "../decision/principal-context.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import { MAX_NEAR_MISSES, explain } from "../decision/explain.ts";
import { trimmedGrants } from "../decision/trimmed-grants.ts";
import type { SnapshotBinding, SnapshotCeilings } from "../snapshot/content.ts";
import { asksAboutItself } from "./caller.ts";
import { FieldViolations } from "./field-violations.ts";
import { codeMessage, matchedMessage, nearMissMessage, ruleMessage } from "./messages.ts";
import type { Gate, QuestionGate } from "./question-gate.ts";
import { accessRequestOf, principalContextOf } from "./request-form.ts";

/** Items of one batch (permissions §11.2). */
export const MAX_BATCH = 1_000;
const MAX_CORRELATION_ID = 36;
/** Items of a batch that are decided in one turn of the event loop. */
const BATCH_SLICE = 250;

type DecisionMethods = "checkPermission" | "batchCheckPermission" | "explainDecision";

/** Handlers of the questions about one action. */
export function decisionHandlers(
  questions: QuestionGate,
): Pick<ServiceHandlers<typeof PermissionService>, DecisionMethods> {
  const { store, clock } = questions.parts;
  return {
    checkPermission(message: CheckPermissionRequest, context) {
      const violations = new FieldViolations();
      const about = principalContextOf(message, violations);
      const request = accessRequestOf(message, violations);
      const question = { query: "check", about, common: message, method: "CheckPermission" } as const;
      const gate = questions.open(context, question, violations);
      const { requestId } = message;
      return gate instanceof Promise
        ? gate.then((opened) => answerCheck(questions, context, opened, about, request, requestId))
        : answerCheck(questions, context, gate, about, request, requestId);
    },

    async batchCheckPermission(message: BatchCheckPermissionRequest, context) {
      const violations = new FieldViolations();
      const items = readBatch(message, violations);
      const question = { query: "check", about: undefined, common: message, method: "BatchCheckPermission" } as const;
      const gate = await questions.open(context, question, violations);
      // Without the right to ask about others, the items about the caller itself are still answered.
      const caller = gate.refusal?.code === "CALLER_NOT_AUTHORIZED" ? context.principal : undefined;
      const ownGate = { ...gate, refusal: undefined };
      const results = [];
      for (const [i, { correlationId, about, request, requestId }] of items.entries()) {
        const own = caller !== undefined && asksAboutItself(caller, about);
        const decision = questions.decide(own ? ownGate : gate, about, request);
        const { allowed, code } = decision;
        questions.record(context, gate, { query: "check", principal: about.user, requestId, request, allowed, code });
        const { reason } = decision;
        const conditionalNames = namesMessage(decision.conditionalNames);
        results.push({ correlationId, allowed, reason, code: codeMessage(code), conditionalNames });
        // One batch must not hold up everybody else; all of it rests on the gate's snapshot all the same.
        if (i % BATCH_SLICE === BATCH_SLICE - 1) await nextTurn();
      }
      return { results, meta: gate.meta };
    },

    async explainDecision(message: ExplainDecisionRequest, context) {
      const violations = new FieldViolations();
      const about = principalContextOf(message, violations);
      const request = accessRequestOf(message, violations);
      const question = { query: "explain", about, common: message, method: "ExplainDecision" } as const;
      const gate = await questions.open(context, question, violations);
      const { principal, requestId } = message;
      const asked = { query: "explain", principal, requestId, request, always: true } as const;
      if (gate.refusal !== undefined || gate.snapshot === undefined) {
        const decision = questions.decide(gate, about, request);
        questions.record(context, gate, { ...asked, allowed: false, code: decision.code });
        return { ...wireDecision(decision), meta: gate.meta };
      }
      const { index } = gate.snapshot;
      const { decision, matched, nearMisses } = explain(index, about, request, clock.now());
      // What a ceiling took says more than what comes near.
      const trimmed =
        decision.allowed || store.declared === undefined
          ? []
          : trimmedGrants(store.declared(), about, request, clock.now());
      const first = matched[0];
      const source = first?.grant.binding.source;
      const matchedPolicy = source === undefined ? "" : `${source.profileNamespace}/${source.profileName}`;
      const { allowed, code } = decision;
      questions.record(context, gate, { ...asked, allowed, code, matchedPolicy });
      return {
        ...wireDecision(decision),
        ...(first !== undefined && { matchedRule: ruleMessage(first, store.cluster) }),
        matched: matched.map((granted) =>
          matchedMessage(granted, store.cluster, ceilingsOver(granted.grant.binding, index.content.ceilings)),
        ),
        nearMisses: [...trimmed, ...nearMisses]
          .slice(0, MAX_NEAR_MISSES)
          .map((miss) => nearMissMessage(miss, store.cluster)),
        meta: gate.meta,
      };
    },
  };
}

/** Ceilings a grant was trimmed to: a profile of the fleet stands under the fleet's alone, one of a tenant under both (permissions §4.1). */
function ceilingsOver({ source }: SnapshotBinding, { fleet, cluster }: SnapshotCeilings): readonly string[] {
  const ofTenant = clusterOfNamespace(source.profileNamespace) !== undefined;
  return [fleet, ofTenant ? cluster : undefined].filter((id) => id !== undefined);
}

function readBatch(message: BatchCheckPermissionRequest, violations: FieldViolations) {
  const { items } = message;
  if (items.length === 0 || items.length > MAX_BATCH)
    violations.add("items", `has 1 to ${MAX_BATCH} entries, found ${items.length}`);
  const ids = new Set<string>();
  const read = [];
  for (const [i, { correlationId, check }] of items.slice(0, MAX_BATCH).entries()) {
    const own = new FieldViolations();
    own.text("correlationId", correlationId, { required: true, max: MAX_CORRELATION_ID });
    if (ids.has(correlationId)) own.add("correlationId", "is unique in the batch");
    ids.add(correlationId);
    if (check === undefined) own.add("check", "is required");
    else {
      if (check.cluster !== "") own.add("check.cluster", "is empty; the batch names the cluster");
      if (check.consistency !== undefined) own.add("check.consistency", "is unset; the batch has one for all");
      const about = principalContextOf(check, own);
      const request = accessRequestOf(check, own);
      read.push({ correlationId, about, request, requestId: check.requestId || message.requestId });
    }
    violations.addAll(`items[${i}]`, own);
  }
  return read;
}

/** One check behind its gate: decided, logged and answered. */
function answerCheck(
  questions: QuestionGate,
  context: CallContext,
  gate: Gate,
  about: PrincipalContext,
  request: AccessRequest,
  requestId: string,
) {
  const { allowed, code, reason, conditionalNames } = questions.decide(gate, about, request);
  questions.record(context, gate, { query: "check", principal: about.user, requestId, request, allowed, code });
  const names = namesMessage(conditionalNames);
  return { allowed, reason, code: codeMessage(code), conditionalNames: names, meta: gate.meta };
}

function wireDecision({ allowed, reason, code, conditionalNames }: Decision) {
  return { allowed, reason, code: codeMessage(code), conditionalNames: namesMessage(conditionalNames) };
}

function namesMessage(names: readonly string[]): string[] {
  return names.length === 0 ? NO_NAMES : [...names];
}

/** Never written to. */
const NO_NAMES: string[] = [];
