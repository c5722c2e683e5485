import { badRequest, forbidden } from "./api-errors.ts";
import { type ApiRequest, headerValues } from "./api-request.ts";
import { type AccessAttributes, type Authorizer, MASTERS_GROUP } from "./authorizer.ts";
import type { User } from "./user.ts";

const PREFIX = "impersonate-";
const USER = "impersonate-user";
const UID = "impersonate-uid";
const GROUP = "impersonate-group";
const EXTRA_PREFIX = "impersonate-extra-";
const AUTHENTICATED = "system:authenticated";
const UNAUTHENTICATED = "system:unauthenticated";
const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

/**
 * The user a request is made as: its own, or the one that `Impersonate-*` headers name, when the own one may impersonate all that
 * they name.
 *
 * @throws ApiStatusError 400 without a user to impersonate, 403 naming the first right that is missing
 */
export async function impersonated(user: User, request: ApiRequest, authorizer: Authorizer): Promise<User> {
  const wanted = wantedUser(request);
  if (wanted === undefined) return user;
  // Nobody acts for the break-glass group but its members; every right below is theirs anyhow.
  if (!user.groups.includes(MASTERS_GROUP)) {
    for (const attributes of rightsFor(wanted)) {
      const { allowed, reason } = await authorizer.authorize(user, attributes);
      if (!allowed) throw forbidden(user, attributes, reason);
    }
  }
  return { ...wanted, groups: completeGroups(wanted) };
}

/** What the headers say. Every value of a repeated header counts, which Node's joined form would hide. */
function wantedUser(request: ApiRequest): User | undefined {
  const named = Object.keys(request.headers).filter((header) => header.startsWith(PREFIX));
  if (named.length === 0) return undefined;
  const [name = ""] = headerValues(request, USER);
  const [uid = ""] = headerValues(request, UID);
  const groups = headerValues(request, GROUP);
  const extra: Record<string, readonly string[]> = {};
  for (const header of named) {
    if (header.startsWith(EXTRA_PREFIX))
      extra[decoded(header.slice(EXTRA_PREFIX.length))] = headerValues(request, header);
  }
  const hasExtra = Object.keys(extra).length > 0;
  if (name !== "") return { name, groups, ...(uid === "" ? {} : { uid }), ...(hasExtra ? { extra } : {}) };
  if (uid === "" && groups.length === 0 && !hasExtra) return undefined;
  throw badRequest("requested impersonation of a group, a UID or extra fields without impersonating a user");
}

/** A malformed key stands as it was sent. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function* rightsFor({ name, uid, groups, extra }: User): Generator<AccessAttributes> {
  const [, namespace, account] = SERVICE_ACCOUNT.exec(name) ?? [];
  yield account === undefined
    ? right("", "users", name)
    : { ...right("", "serviceaccounts", account), namespace: namespace ?? "" };
  if (uid !== undefined) yield right("authentication.k8s.io", "uids", uid);
  for (const group of groups) yield right("", "groups", group);
  for (const [key, values] of Object.entries(extra ?? {})) {
    for (const value of values) yield { ...right("authentication.k8s.io", "userextras", value), subresource: key };
  }
}

function right(
  group: string,
  resource: string,
  name: string,
): Extract<AccessAttributes, { readonly type: "resource" }> {
  const version = "v1";
  return { type: "resource", verb: "impersonate", group, version, resource, subresource: "", name, namespace: "" };
}

/** Groups that come with the name: those of a ServiceAccount, unless groups were named, and being authenticated or not. */
function completeGroups({ name, groups }: User): readonly string[] {
  const namespace = SERVICE_ACCOUNT.exec(name)?.[1];
  const named =
    groups.length === 0 && namespace !== undefined
      ? ["system:serviceaccounts", `system:serviceaccounts:${namespace}`]
      : groups;
  if (name === "system:anonymous") return named.includes(UNAUTHENTICATED) ? named : [...named, UNAUTHENTICATED];
  return named.includes(AUTHENTICATED) || named.includes(UNAUTHENTICATED) ? named : [...named, AUTHENTICATED];
}
