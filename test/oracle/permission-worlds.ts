import { type Random, integerBetween } from "../../src/base/random.ts";
import type { AccessRequest } from "../../src/permissions/rules/access-request.ts";
import { canonicalRules, ruleSetId } from "../../src/permissions/algebra/canonical.ts";
import { principalRefOf } from "../../src/permissions/rules/principal.ts";
import { type Rule, ruleOf } from "../../src/permissions/rules/rule.ts";
import {
  type RuleSet,
  type SnapshotBinding,
  type SnapshotContent,
  type SnapshotSubject,
  bindingSortKey,
  subjectSortKey,
} from "../../src/permissions/snapshot/content.ts";

/** Wall clock of the worlds, Unix milliseconds. */
export const WORLD_NOW_MS = Date.UTC(2026, 0, 10, 8);

/** Small alphabets with many look-alikes (permissions §16), so that random requests collide with random rules often. */
export const ALPHABET = {
  groups: ["", "apps", "batch"],
  resources: ["pods", "deployments", "scale", "*"],
  subresources: ["", "", "log", "scale", "*", "a/b"],
  verbs: ["get", "list", "create", "update", "*", "GET", "impersonate"],
  names: ["", "", "a", "b", "*"],
  namespaces: ["", "default", "kube-system", "other"],
  users: [
    "alice",
    "bob",
    "dev",
    "system:serviceaccount:default:runner",
    "system:serviceaccount:other:runner",
    "system:anonymous",
  ],
  members: ["dev", "ops", "system:authenticated", "alice"],
  paths: ["/", "/api", "/api/v1", "/apis", "/healthz", "/a/x/b"],
} as const;

const RULE_RESOURCES = [
  "pods",
  "deployments",
  "pods/log",
  "*/log",
  "*/scale",
  "deployments/scale",
  "scale",
  "pods/*",
  "*/*",
  "p*",
  "*pods",
  "pods/",
  "/log",
  "pods/a/b",
];
const RULE_PATHS = ["*", "/", "/api", "/api*", "/api/*", "/api/**", "**", "/a/*/b", "/healthz", "/apis/"];

function pick<T>(random: Random, list: readonly T[]): T {
  const value = list[integerBetween(random, 0, list.length - 1)];
  if (value === undefined) throw new Error("an alphabet is empty");
  return value;
}

function some<T>(random: Random, list: readonly T[], max: number): readonly T[] {
  return Array.from({ length: integerBetween(random, 1, max) }, () => pick(random, list));
}

function chance(random: Random, probability: number): boolean {
  return random.next() < probability;
}

function wild(random: Random, list: readonly string[], max: number): readonly string[] {
  return chance(random, 0.3) ? ["*"] : some(random, list, max);
}

function randomRule(random: Random, manyVerbs: boolean): Rule {
  const verbs = manyVerbs
    ? [`verb${integerBetween(random, 0, 150)}`, pick(random, ALPHABET.verbs)]
    : wild(random, ALPHABET.verbs, 3);
  if (chance(random, 0.2)) return ruleOf({ verbs, nonResourceURLs: some(random, RULE_PATHS, 2) });
  return ruleOf({
    verbs,
    apiGroups: wild(random, ALPHABET.groups, 2),
    resources: chance(random, 0.2) ? ["*"] : some(random, RULE_RESOURCES, 3),
    resourceNames: chance(random, 0.3) ? some(random, ["a", "b", "*", "c"], 2) : [],
  });
}

/** A rule set from rules. */
export function ruleSetOf(rules: readonly Rule[]): RuleSet {
  const canonical = canonicalRules(rules);
  return { id: ruleSetId(canonical), rules: canonical };
}

function randomBinding(random: Random, ruleSets: readonly RuleSet[], profile: number): SnapshotBinding {
  const namespaced = chance(random, 0.5);
  const expires = chance(random, 0.2);
  return {
    ruleSet: pick(random, ruleSets).id,
    scope: namespaced ? "namespaced" : "cluster",
    namespaces:
      namespaced && chance(random, 0.7) ? [...new Set(some(random, ALPHABET.namespaces.slice(1), 2))].sort() : [],
    expiresAt: expires ? new Date(WORLD_NOW_MS + integerBetween(random, -2, 2) * 1000).toISOString() : "",
    source: {
      profileNamespace: "seam-system",
      profileName: `p${profile}`,
      declaration: 0,
      permissionSet: "set",
      policy: "policy",
    },
  };
}

const SUBJECTS: readonly Pick<SnapshotSubject, "kind" | "namespace" | "name">[] = [
  { kind: "User", namespace: "", name: "alice" },
  { kind: "User", namespace: "", name: "bob" },
  { kind: "User", namespace: "", name: "dev" },
  { kind: "User", namespace: "", name: "system:serviceaccount:default:runner" },
  { kind: "User", namespace: "", name: "system:anonymous" },
  { kind: "ServiceAccount", namespace: "default", name: "runner" },
  { kind: "ServiceAccount", namespace: "other", name: "runner" },
  { kind: "Group", namespace: "", name: "dev" },
  { kind: "Group", namespace: "", name: "ops" },
  { kind: "Group", namespace: "", name: "system:authenticated" },
  { kind: "Group", namespace: "", name: "alice" },
];

/** A small, hostile world: wildcards, literals that look like patterns, overlapping subjects, grants that have just ended. */
export function randomWorld(random: Random): SnapshotContent {
  const manyVerbs = chance(random, 0.1);
  const sets = new Map<string, RuleSet>();
  for (let i = integerBetween(random, 1, 9); i > 0; i--) {
    const set = ruleSetOf(Array.from({ length: integerBetween(random, 1, 3) }, () => randomRule(random, manyVerbs)));
    sets.set(set.id, set);
  }
  const ruleSets = [...sets.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const subjects = SUBJECTS.filter(() => chance(random, 0.6)).map((subject): SnapshotSubject => {
    const count = chance(random, 0.1) ? integerBetween(random, 6, 30) : integerBetween(random, 0, 3);
    const bindings = Array.from({ length: count }, (_, i) => randomBinding(random, ruleSets, i));
    bindings.sort((a, b) => (bindingSortKey(a) < bindingSortKey(b) ? -1 : 1));
    const { kind, namespace, name } = subject;
    return { kind, namespace, name, principalRef: principalRefOf(subject), bindings };
  });
  subjects.sort((a, b) => (subjectSortKey(a) < subjectSortKey(b) ? -1 : 1));
  return {
    schemaVersion: 2,
    targetCluster: "tenant-1",
    ceilings: {},
    ruleSets,
    subjects,
    profiles: [],
    suspendedPrincipals: chance(random, 0.2) ? [pick(random, ALPHABET.users)] : [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}

/** Somebody asking something. */
export interface RandomQuestion {
  readonly user: string;
  readonly groups: readonly string[];
  readonly request: AccessRequest;
}

/** A question over the alphabets. */
export function randomQuestion(random: Random): RandomQuestion {
  const user = chance(random, 0.05) ? "nobody" : pick(random, ALPHABET.users);
  const groups = chance(random, 0.5) ? some(random, ALPHABET.members, 3) : [];
  const verb = chance(random, 0.03)
    ? `verb${integerBetween(random, 0, 160)}`
    : chance(random, 0.02)
      ? ""
      : pick(random, ALPHABET.verbs);
  if (chance(random, 0.15)) {
    const path = chance(random, 0.2)
      ? pick(random, ["", "/api/", "/api/v1/x?y=1", "/a/*/b", "*"])
      : pick(random, ALPHABET.paths);
    return { user, groups, request: { form: "path", verb, path } };
  }
  return {
    user,
    groups,
    request: {
      form: "resource",
      verb,
      apiGroup: chance(random, 0.05) ? "*" : pick(random, ALPHABET.groups),
      resource: chance(random, 0.05)
        ? pick(random, ["", "pods/log", "secrets", "p"])
        : pick(random, ALPHABET.resources),
      subresource: pick(random, ALPHABET.subresources),
      name: chance(random, 0.05) ? "zz" : pick(random, ALPHABET.names),
      namespace: chance(random, 0.05) ? "unlisted" : pick(random, ALPHABET.namespaces),
    },
  };
}
