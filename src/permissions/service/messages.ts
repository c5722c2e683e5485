import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  BindingScope,
  DecisionCode,
  NearMiss_Dimension,
  type NearMissSchema,
  type MatchedRuleSchema,
  type PermissionRuleSchema,
  SubjectKind,
  type WhoCanDoSubjectSchema,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { CapableSubject } from "../decision/who-can.ts";
import type { FailedDimension, GrantedRule, NearMiss } from "../decision/explain.ts";
import type { DecisionCode as Code } from "../decision/decision-code.ts";
import type { SubjectKind as Kind } from "../rules/principal.ts";
import { principalRefOf } from "../rules/principal.ts";
import type { Scope } from "../rules/scope.ts";
import type { SnapshotSubject } from "../snapshot/content.ts";

/** From the engine's words to those of the published messages. */

/** Code on the wire. */
export function codeMessage(code: Code): DecisionCode {
  return DecisionCode[code];
}

const KINDS: Readonly<Record<Kind, SubjectKind>> = {
  Group: SubjectKind.GROUP,
  ServiceAccount: SubjectKind.SERVICE_ACCOUNT,
  User: SubjectKind.USER,
};

/** Kinds of a filter; unspecified ones mean nothing. */
export function subjectKindsOf(kinds: readonly SubjectKind[]): readonly Kind[] {
  return (Object.keys(KINDS) as Kind[]).filter((kind) => kinds.includes(KINDS[kind]));
}

/** Scope on the wire. */
export function scopeMessage(scope: Scope): BindingScope {
  return scope === "cluster" ? BindingScope.CLUSTER : BindingScope.NAMESPACED;
}

function subjectMessage(subject: SnapshotSubject) {
  return {
    kind: KINDS[subject.kind],
    namespace: subject.namespace,
    name: subject.name,
    principalRef: principalRefOf(subject),
  };
}

/** A granted rule with scope, expiry, source and subject. */
export function ruleMessage(
  { rule, grant }: GrantedRule,
  cluster: string,
): MessageInitShape<typeof PermissionRuleSchema> {
  const { binding, subject } = grant;
  const expires = binding.expiresAt === "" ? undefined : timestampFromMs(Date.parse(binding.expiresAt));
  return {
    apiGroup: rule.apiGroups.length === 1 ? (rule.apiGroups[0] ?? "") : "",
    resource: rule.resources.length === 1 ? (rule.resources[0] ?? "") : "",
    verbs: [...rule.verbs],
    resourceNames: [...rule.resourceNames],
    clusters: [cluster],
    apiGroups: [...rule.apiGroups],
    resources: [...rule.resources],
    nonResourceUrls: [...rule.nonResourceURLs],
    scope: scopeMessage(binding.scope),
    namespaces: [...binding.namespaces],
    ...(expires !== undefined && { expiresAt: expires }),
    source: { ...binding.source },
    subject: subjectMessage(subject),
  };
}

/** A rule that allowed the request. */
export function matchedMessage(
  granted: GrantedRule,
  cluster: string,
  ceilings: readonly string[],
): MessageInitShape<typeof MatchedRuleSchema> {
  return { rule: ruleMessage(granted, cluster), ruleSet: granted.grant.ruleSet.id, ceilings: [...ceilings] };
}

const DIMENSIONS: Readonly<Record<FailedDimension, NearMiss_Dimension>> = {
  VERB: NearMiss_Dimension.VERB,
  GROUP: NearMiss_Dimension.GROUP,
  RESOURCE: NearMiss_Dimension.RESOURCE,
  NAME: NearMiss_Dimension.NAME,
  SCOPE: NearMiss_Dimension.SCOPE,
  EXPIRED: NearMiss_Dimension.EXPIRED,
  SUSPENDED: NearMiss_Dimension.SUSPENDED,
  TRIMMED_BY_CEILING: NearMiss_Dimension.TRIMMED_BY_CEILING,
};

/** A rule that came near. */
export function nearMissMessage(miss: NearMiss, cluster: string): MessageInitShape<typeof NearMissSchema> {
  return {
    rule: ruleMessage(miss, cluster),
    ruleSet: miss.grant.ruleSet.id,
    failed: miss.failed.map((dimension) => DIMENSIONS[dimension]),
    detail: miss.detail,
  };
}

/** A subject that may do it: the widest of its granting scopes. */
export function capableMessage(capable: CapableSubject): MessageInitShape<typeof WhoCanDoSubjectSchema> {
  const { subject, bindings, conditionalNames } = capable;
  const clusterWide = bindings.some(({ scope }) => scope === "cluster");
  const everyNamespace = bindings.some(({ namespaces }) => namespaces.length === 0);
  const namespaces = clusterWide || everyNamespace ? [] : [...new Set(bindings.flatMap((b) => b.namespaces))].sort();
  const via = bindings[0]?.source;
  return {
    ...subjectMessage(subject),
    scope: scopeMessage(clusterWide ? "cluster" : "namespaced"),
    namespaces,
    conditionalNames: [...conditionalNames],
    viaProfile: via === undefined ? "" : `${via.profileNamespace}/${via.profileName}`,
  };
}
