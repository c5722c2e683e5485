/** Forms of a principal (permissions §5.5, R-18.1). */

/** Kinds of subject. A user and a group of the same name are never the same. */
export type SubjectKind = "Group" | "ServiceAccount" | "User";

/** A subject without its bindings. */
export interface SubjectName {
  readonly kind: SubjectKind;
  /** Of a ServiceAccount; otherwise empty. */
  readonly namespace: string;
  readonly name: string;
}

const SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:";

/** User name of a service account. */
export function serviceAccountUser(namespace: string, name: string): string {
  return `${SERVICE_ACCOUNT_PREFIX}${namespace}:${name}`;
}

/** Namespace and name of a service-account user name; undefined when it is not one. Neither part may be empty or hold a colon. */
export function parseServiceAccountUser(
  user: string,
): { readonly namespace: string; readonly name: string } | undefined {
  if (!user.startsWith(SERVICE_ACCOUNT_PREFIX)) return undefined;
  const start = SERVICE_ACCOUNT_PREFIX.length;
  const colon = user.indexOf(":", start);
  // Exactly one more colon, with something on either side.
  if (colon <= start || colon === user.length - 1 || user.includes(":", colon + 1)) return undefined;
  return { namespace: user.slice(start, colon), name: user.slice(colon + 1) };
}

/** Subject of a principal reference: the service-account form names a ServiceAccount, anything else a User. */
export function subjectOfPrincipal(principalRef: string): SubjectName {
  const account = parseServiceAccountUser(principalRef);
  return account
    ? { kind: "ServiceAccount", namespace: account.namespace, name: account.name }
    : { kind: "User", namespace: "", name: principalRef };
}

/** How a subject is written as one string: the user name of an account, otherwise the name. */
export function principalRefOf(subject: SubjectName): string {
  return subject.kind === "ServiceAccount" ? serviceAccountUser(subject.namespace, subject.name) : subject.name;
}

/** Groups that Kubernetes' authenticators add by themselves; the engine adds none unless it is asked (permissions §5.5). */
export function derivedGroups(user: string): readonly string[] {
  if (user === "system:anonymous") return UNAUTHENTICATED;
  const account = parseServiceAccountUser(user);
  return account
    ? ["system:authenticated", "system:serviceaccounts", `system:serviceaccounts:${account.namespace}`]
    : AUTHENTICATED;
}

const UNAUTHENTICATED: readonly string[] = ["system:unauthenticated"];
const AUTHENTICATED: readonly string[] = ["system:authenticated"];
