import type { RbacSubject } from "../../api/builtin.ts";
import { ANNOTATIONS, LABELS, MAX_OBJECT_NAME, labelValue } from "../../api/names.ts";
import { sha256Hex } from "../../base/digest.ts";
import { bindingsInForce, rulesById } from "../reach/subject-reach.ts";
import type { SubjectName } from "../rules/principal.ts";
import { type Rule, ruleToJson } from "../rules/rule.ts";
import type { SnapshotBinding, SnapshotContent } from "../snapshot/content.ts";
import { GUARDIAN, MATERIALISED_PREFIX, type MaterialisedObject, materialisedKey } from "./materialised.ts";

/** Rules of one ClusterRole, JSON bytes: an API server takes objects up to 1.5 MiB; more rules become more roles. */
const MAX_ROLE_BYTES = 256 * 1024;
/** Most objects that the plane keeps on one cluster. */
export const MAX_MATERIALISED_OBJECTS = 20_000;

const RBAC_GROUP = "rbac.authorization.k8s.io";
const RBAC_VERSION = `${RBAC_GROUP}/v1`;

/** What should stand on a cluster. */
export interface RbacPlan {
  /** Sorted by key; roles and bindings. */
  readonly objects: readonly MaterialisedObject[];
  /** When the next time-bound grant ends, Unix milliseconds: then the plan is another. Kubernetes' RBAC itself knows no end. */
  readonly nextEndMs: number | undefined;
}

/** One role, with everybody bound to it. */
interface RoleUse {
  readonly source: Pick<SnapshotBinding["source"], "profileNamespace" | "profileName">;
  readonly ruleSet: string;
  readonly cluster: SubjectName[];
  readonly everyNamespace: SubjectName[];
  readonly namespaces: Map<string, SubjectName[]>;
}

/**
 * Roles and bindings that give a cluster's own authorizer what a snapshot grants at `nowMs` (permissions §5.4, §7.4), pure: effective
 * rules, never declared ones. Suspended principals and grants that have ended get nothing. A grant in every namespace is a RoleBinding in
 * each of `namespaces`.
 *
 * @param namespaces those that exist; RoleBindings elsewhere wait for them
 */
export function planRbac(content: SnapshotContent, nowMs: number, namespaces: Iterable<string>): RbacPlan {
  const existing = [...new Set(namespaces)].sort();
  const known = new Set(existing);
  const uses = new Map<string, RoleUse>();
  let nextEndMs: number | undefined;
  for (const subject of content.subjects)
    for (const binding of bindingsInForce(content, subject, nowMs)) {
      if (binding.expiresAt !== "") {
        const endMs = Date.parse(binding.expiresAt);
        if (nextEndMs === undefined || endMs < nextEndMs) nextEndMs = endMs;
      }
      const use = useOf(uses, binding);
      if (binding.scope === "cluster") use.cluster.push(subject);
      else if (binding.namespaces.length === 0) use.everyNamespace.push(subject);
      else
        for (const namespace of binding.namespaces) if (known.has(namespace)) push(use.namespaces, namespace, subject);
    }
  const rulesOf = rulesById(content);
  const objects = [...uses.values()].flatMap((use) => objectsOf(use, rulesOf.get(use.ruleSet) ?? [], existing));
  return { objects: sorted(objects), nextEndMs };
}

function useOf(uses: Map<string, RoleUse>, { source, ruleSet }: SnapshotBinding): RoleUse {
  const key = JSON.stringify([source.profileNamespace, source.profileName, ruleSet]);
  let use = uses.get(key);
  if (use === undefined) {
    use = { source, ruleSet, cluster: [], everyNamespace: [], namespaces: new Map() };
    uses.set(key, use);
  }
  return use;
}

function objectsOf(use: RoleUse, rules: readonly Rule[], existing: readonly string[]): readonly MaterialisedObject[] {
  const inNamespace = new Map(use.namespaces);
  if (use.everyNamespace.length > 0)
    for (const namespace of existing)
      inNamespace.set(namespace, [...(inNamespace.get(namespace) ?? []), ...use.everyNamespace]);
  // A role that nobody is bound to says nothing.
  if (use.cluster.length === 0 && inNamespace.size === 0) return [];
  const objects: MaterialisedObject[] = [];
  for (const [part, own] of parts(rules).entries()) {
    const name = roleName(use, part);
    const metadata = metadataOf(use, name);
    const common = { apiVersion: RBAC_VERSION, roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole" as const, name } };
    objects.push({ apiVersion: RBAC_VERSION, kind: "ClusterRole", metadata, rules: own.map(policyRule) });
    if (use.cluster.length > 0)
      objects.push({ ...common, kind: "ClusterRoleBinding", metadata, subjects: subjectsOf(use.cluster) });
    for (const [namespace, subjects] of inNamespace)
      objects.push({
        ...common,
        kind: "RoleBinding",
        metadata: { ...metadata, namespace },
        subjects: subjectsOf(subjects),
      });
  }
  return objects;
}

/** `seam:{profile namespace}:{profile name}:{hash8}` (permissions §7.4); the hash names rule set and part, also where the name was cut. */
function roleName({ source, ruleSet }: RoleUse, part: number): string {
  const { profileNamespace, profileName } = source;
  const hash = sha256Hex(JSON.stringify([profileNamespace, profileName, ruleSet, part])).slice(0, 8);
  const readable = `${MATERIALISED_PREFIX}${profileNamespace}:${profileName}`;
  return `${readable.slice(0, MAX_OBJECT_NAME - hash.length - 1)}:${hash}`;
}

function metadataOf({ source }: RoleUse, name: string): MaterialisedObject["metadata"] {
  const profile = `${source.profileNamespace}/${source.profileName}`;
  return {
    name,
    labels: { [LABELS.rbacManagedBy]: GUARDIAN, [LABELS.rbacProfile]: labelValue(profile.replace("/", ".")) },
    annotations: { [ANNOTATIONS.rbacOwner]: GUARDIAN, [ANNOTATIONS.rbacProfile]: profile },
  };
}

function policyRule(rule: Rule): { readonly verbs: readonly string[] } {
  return { verbs: rule.verbs, ...ruleToJson(rule) };
}

function subjectsOf(subjects: readonly SubjectName[]): readonly RbacSubject[] {
  const unique = new Map(
    subjects.map((subject) => [`${subject.kind}\0${subject.namespace}\0${subject.name}`, subject]),
  );
  return [...unique]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { kind, namespace, name }]) =>
      kind === "ServiceAccount" ? { kind, namespace, name } : { kind, apiGroup: RBAC_GROUP, name },
    );
}

/** Cuts a rule list into roles of bounded size. */
function parts(rules: readonly Rule[]): readonly (readonly Rule[])[] {
  const found: Rule[][] = [[]];
  let bytes = 0;
  for (const rule of rules) {
    const size = JSON.stringify(ruleToJson(rule)).length;
    if (bytes > 0 && bytes + size > MAX_ROLE_BYTES) {
      found.push([]);
      bytes = 0;
    }
    found.at(-1)?.push(rule);
    bytes += size;
  }
  return found;
}

function sorted(objects: readonly MaterialisedObject[]): readonly MaterialisedObject[] {
  return objects
    .map((object) => ({ object, key: materialisedKey(object) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ object }) => object);
}

function push<T>(map: Map<string, T[]>, key: string, entry: T): void {
  const held = map.get(key);
  if (held === undefined) map.set(key, [entry]);
  else held.push(entry);
}
