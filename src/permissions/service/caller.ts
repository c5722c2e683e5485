import type { X509Certificate } from "node:crypto";
import { NAMESPACES } from "../../api/names.ts";
import type { Principal } from "../../api/grpc/principal.ts";
import { operatorIdentity } from "../../trust/identity/operator-identity.ts";
import type { Authentication } from "../../trust/tls/tls-listener.ts";
import { normalizeSerial } from "../../trust/identity/certificate-serial.ts";
import type { PrincipalContext } from "../decision/principal-context.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import { derivedGroups, parseServiceAccountUser } from "../rules/principal.ts";

/** Group (certificate attribute O) of people and programs that operate the fleet. */
export const OPERATOR_GROUP = "seam:operators";
/** Namespaces whose service accounts may ask about anybody. */
const OPERATOR_NAMESPACES: ReadonlySet<string> = new Set([NAMESPACES.ont, NAMESPACES.seam]);

/** What a caller wants to know about others; a verb on `permissionqueries` of `guardian.ontai.dev`. */
export type QueryVerb = "check" | "list" | "whocan" | "explain";

/** Identity of a client certificate, in Kubernetes' reading. */
export function authenticateCaller(certificate: X509Certificate | undefined, nowMs: number): Authentication {
  const verdict = operatorIdentity(certificate, nowMs);
  if (!verdict.ok) return verdict;
  return {
    ok: true,
    principal: {
      kind: "certificate",
      name: verdict.identity.user,
      groups: verdict.identity.groups,
      certificateSerial: certificate === undefined ? "" : normalizeSerial(certificate.serialNumber),
      notAfterMs: certificate === undefined ? 0 : certificate.validToDate.getTime(),
    },
  };
}

/** True for callers that need no rule: operators, and service accounts of the operator namespaces. */
export function isOperator(caller: Principal): boolean {
  if (caller.groups.includes(OPERATOR_GROUP)) return true;
  const account = parseServiceAccountUser(caller.name);
  return account !== undefined && OPERATOR_NAMESPACES.has(account.namespace);
}

/** True when somebody asks about itself with no more groups than it has. */
export function asksAboutItself(caller: Principal, about: PrincipalContext): boolean {
  if (caller.name !== about.user) return false;
  const derived = derivedGroups(caller.name);
  return about.groups.every((group) => derived.includes(group) || caller.groups.includes(group));
}

/** True when the snapshot itself gives the caller the right to ask (permissions §11). `nowMs` is wall time. */
export function hasQueryRight(index: PermissionIndex, caller: Principal, verb: QueryVerb, nowMs: number): boolean {
  const groups = [...caller.groups, ...derivedGroups(caller.name)];
  const request = {
    form: "resource",
    verb,
    apiGroup: "guardian.ontai.dev",
    resource: "permissionqueries",
    subresource: "",
    name: "",
    namespace: "",
  } as const;
  return index.decide(caller.name, groups, request, nowMs) === "allowed";
}
