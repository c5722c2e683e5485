import {
  type PermissionService,
  type PlanAccessRequest,
  PlanAccessResponse_Plan,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { ServiceHandlers } from "../../api/grpc/service-implementation.ts";
import { inTurns } from "../../base/next-turn.ts";
import { type AccessCondition, planAccessSteps } from "../decision/plan-access.ts";
import type { Refusal } from "../store/snapshot-reader.ts";
import { type AnswerPages, checkPageSize } from "./answer-pages.ts";
import { FieldViolations } from "./field-violations.ts";
import { codeMessage, scopeMessage } from "./messages.ts";
import { NOT_LOADED, type QuestionGate } from "./question-gate.ts";
import { accessRequestOf, principalContextOf } from "./request-form.ts";

const ENDED: Refusal = {
  code: "SNAPSHOT_CHANGED",
  reason: "a grant of this plan has ended since its first page; start again without a token",
};

/** Handler of PlanAccess (permissions §11.2). All pages of a plan are of one snapshot and one moment. */
export function planHandler(
  questions: QuestionGate,
  pages: AnswerPages,
): Pick<ServiceHandlers<typeof PermissionService>, "planAccess"> {
  const { clock } = questions.parts;
  return {
    async planAccess(message: PlanAccessRequest, context) {
      const violations = new FieldViolations();
      const about = principalContextOf(message, violations);
      const request = accessRequestOf({ ...message, resourceName: "", namespace: "", path: "" }, violations);
      checkPageSize(message.pageSize, violations);
      const question = { query: "check", about, common: message, method: "PlanAccess" } as const;
      const gate = await questions.open(context, question, violations);
      const asked = { query: "check", principal: message.principal, requestId: message.requestId, request } as const;
      const refuse = ({ code, reason }: Refusal) => {
        questions.record(context, gate, { ...asked, allowed: false, code });
        return { incomplete: true, code: codeMessage(code), reason, meta: gate.meta };
      };
      const text = JSON.stringify(["plan", about.user, about.groups, Object.values(request)]);
      const start = pages.start(gate, text, message.pageToken);
      if ("code" in start) return refuse(start);
      if (request.form !== "resource") return refuse(NOT_LOADED);
      const { index } = start.snapshot;
      const { plan, endsAtMs } = await inTurns(planAccessSteps(index, about, request, start.atMs), context.signal);
      // A plan has no entries that could be left out one by one: what ended may have stood for others.
      if (start.offset > 0 && endsAtMs <= clock.now()) return refuse(ENDED);
      const conditions = plan.plan === "CONDITIONAL" ? plan.conditions : [];
      const { page, more, nextPageToken } = pages.slice(conditions, start, message.pageSize, text, charactersOf);
      questions.record(context, gate, { ...asked, allowed: true, code: "ALLOWED" });
      return {
        plan: PlanAccessResponse_Plan[plan.plan],
        conditions: page.map(({ scope, namespaces, names }) => ({
          scope: scopeMessage(scope),
          namespaces: [...namespaces],
          names: [...names],
        })),
        incomplete: more,
        nextPageToken,
        code: codeMessage("ALLOWED"),
        reason: plan.plan === "CONDITIONAL" ? `CONDITIONAL: ${conditions.length} conditions` : plan.plan,
        meta: gate.meta,
      };
    },
  };
}

function charactersOf({ namespaces, names }: AccessCondition): number {
  let length = 0;
  for (const list of [namespaces, names]) for (const text of list) length += text.length;
  return length;
}
