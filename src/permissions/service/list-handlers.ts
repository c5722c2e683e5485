import type {
  ListPermissionsRequest,
  LookupResourcesRequest,
  PermissionService,
  WhoCanDoRequest,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { ServiceHandlers } from "../../api/grpc/service-implementation.ts";
import { inTurns } from "../../base/next-turn.ts";
import { listPermissionsSteps } from "../decision/list-permissions.ts";
import { lookupResourcesSteps } from "../decision/lookup-resources.ts";
import { inForce } from "../decision/principal-context.ts";
import type { GrantedRule } from "../decision/explain.ts";
import { type CapableSubject, isStillCapable, whoCanSteps } from "../decision/who-can.ts";
import { type AnswerPages, checkPageSize } from "./answer-pages.ts";
import { FieldViolations } from "./field-violations.ts";
import { capableMessage, codeMessage, ruleMessage, scopeMessage, subjectKindsOf } from "./messages.ts";
import type { QuestionGate } from "./question-gate.ts";
import { accessRequestOf, principalContextOf } from "./request-form.ts";

const MAX_VERB = 63;
/** Resources per message of a lookup. */
const LOOKUP_CHUNK = 500;

type ListMethods = "listPermissions" | "whoCanDo" | "lookupResources";

/** Handlers of the questions with many answers. */
export function listHandlers(
  questions: QuestionGate,
  pages: AnswerPages,
): Pick<ServiceHandlers<typeof PermissionService>, ListMethods> {
  const { store, clock } = questions.parts;
  return {
    async listPermissions(message: ListPermissionsRequest, context) {
      const violations = new FieldViolations();
      const about = principalContextOf(message, violations);
      violations.text("namespace", message.namespace);
      checkPageSize(message.pageSize, violations);
      const question = { query: "list", about, common: message, method: "ListPermissions" } as const;
      const gate = await questions.open(context, question, violations);
      const text = JSON.stringify(["list", about.user, about.groups, message.namespace]);
      const start = pages.start(gate, text, message.pageToken);
      const asked = { query: "list", principal: message.principal, requestId: message.requestId } as const;
      if ("code" in start) {
        questions.record(context, gate, { ...asked, allowed: false, code: start.code });
        return { incomplete: true, code: codeMessage(start.code), reason: start.reason, meta: gate.meta };
      }
      const { index } = start.snapshot;
      if (index.isSuspended(about.user)) {
        const code = "PRINCIPAL_SUSPENDED";
        questions.record(context, gate, { ...asked, allowed: false, code });
        return { code: codeMessage(code), reason: `${about.user} is suspended`, meta: gate.meta };
      }
      const all = await inTurns(listPermissionsSteps(index, about, message.namespace, start.atMs), context.signal);
      const { page, more, nextPageToken } = pages.slice(all, start, message.pageSize, text, charactersOf);
      const nowMs = clock.now();
      const code = index.isKnown(about.user, about.groups) ? "ALLOWED" : "PRINCIPAL_UNKNOWN";
      questions.record(context, gate, { ...asked, allowed: true, code });
      return {
        rules: page
          .filter(({ grant }) => inForce(grant.binding.expiresAt, nowMs))
          .map((granted) => ruleMessage(granted, store.cluster)),
        incomplete: more,
        nextPageToken,
        code: codeMessage(code),
        reason: code === "ALLOWED" ? `${all.length} rules` : `${about.user} has no binding in the snapshot`,
        meta: gate.meta,
      };
    },

    async whoCanDo(message: WhoCanDoRequest, context) {
      const violations = new FieldViolations();
      const request = accessRequestOf(message, violations);
      checkPageSize(message.pageSize, violations);
      const question = { query: "whocan", about: undefined, common: message, method: "WhoCanDo" } as const;
      const gate = await questions.open(context, question, violations);
      const kinds = subjectKindsOf(message.subjectKinds);
      const text = JSON.stringify(["whocan", Object.values(request), kinds]);
      const start = pages.start(gate, text, message.pageToken);
      const asked = { query: "whocan", principal: "*", requestId: message.requestId, request } as const;
      if ("code" in start) {
        questions.record(context, gate, { ...asked, allowed: false, code: start.code });
        return { code: codeMessage(start.code), reason: start.reason, meta: gate.meta };
      }
      const { index } = start.snapshot;
      const all = await inTurns(whoCanSteps(index, request, kinds, start.atMs), context.signal);
      const { page, more, nextPageToken } = pages.slice(all, start, message.pageSize, text, namesOf);
      const nowMs = clock.now();
      const subjects = page.filter((capable) => isStillCapable(index, capable, request, nowMs)).map(capableMessage);
      questions.record(context, gate, { ...asked, allowed: true, code: "ALLOWED" });
      return {
        principals: subjects
          .filter(({ conditionalNames }) => (conditionalNames ?? []).length === 0)
          .map(({ principalRef }) => principalRef ?? ""),
        subjects,
        truncated: more,
        nextPageToken,
        code: codeMessage("ALLOWED"),
        reason: `${all.length} subjects`,
        meta: gate.meta,
      };
    },

    async *lookupResources(message: LookupResourcesRequest, context) {
      const violations = new FieldViolations();
      const about = principalContextOf(message, violations);
      violations.text("verb", message.verb, { required: true, max: MAX_VERB });
      violations.text("apiGroup", message.apiGroup ?? "");
      const question = { query: "list", about, common: message, method: "LookupResources" } as const;
      const gate = await questions.open(context, question, violations);
      const { principal, requestId } = message;
      const { code, reason } = gate.refusal ?? { code: "ALLOWED" as const, reason: "" };
      questions.record(context, gate, { query: "list", principal, requestId, allowed: code === "ALLOWED", code });
      const found =
        gate.refusal === undefined && gate.snapshot !== undefined
          ? await inTurns(
              lookupResourcesSteps(gate.snapshot.index, about, message.verb, message.apiGroup, clock.now()),
              context.signal,
            )
          : [];
      const first = { code: codeMessage(code), reason: reason || `${found.length} kinds of resource`, meta: gate.meta };
      for (let start = 0; start === 0 || start < found.length; start += LOOKUP_CHUNK)
        yield {
          ...(start === 0 && first),
          resources: found.slice(start, start + LOOKUP_CHUNK).map((access) => ({
            apiGroup: access.apiGroup,
            resource: access.resource,
            subresource: access.subresource,
            scope: scopeMessage(access.scope),
            namespaces: [...access.namespaces],
            names: [...access.names],
          })),
        };
    },
  };
}

/** Roughly what an entry takes of a message. */
function charactersOf({ rule, grant }: GrantedRule): number {
  const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } = rule;
  let length = 0;
  for (const list of [verbs, apiGroups, resources, resourceNames, nonResourceURLs, grant.binding.namespaces])
    for (const text of list) length += text.length;
  return length;
}

function namesOf({ subject, bindings, conditionalNames }: CapableSubject): number {
  let length = subject.name.length + subject.namespace.length;
  for (const name of conditionalNames) length += name.length;
  for (const { namespaces } of bindings) for (const namespace of namespaces) length += namespace.length;
  return length;
}
