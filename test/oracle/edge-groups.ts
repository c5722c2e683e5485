import type { AccessRequest } from "../../src/permissions/rules/access-request.ts";
import { type SubjectName, principalRefOf } from "../../src/permissions/rules/principal.ts";
import { type RuleInput, ruleOf } from "../../src/permissions/rules/rule.ts";
import {
  type RuleSet,
  type SnapshotContent,
  type SnapshotSubject,
  bindingSortKey,
  subjectSortKey,
} from "../../src/permissions/snapshot/content.ts";
import { ruleSetOf } from "./permission-worlds.ts";

/**
 * The edge cases of permissions §16 that are about single decisions, as data: each is put to the index, to the naive scan and, where it
 * is present, to a real API server. Groups 20 to 24 are about whole worlds; they are properties and stand in the tests.
 */
export interface EdgeGroup {
  readonly number: number;
  readonly title: string;
  readonly cases: readonly EdgeCase[];
}

/** Grants, and what they allow. */
export interface EdgeCase {
  readonly name: string;
  readonly grants: readonly EdgeGrant[];
  readonly asks: readonly (readonly [ask: EdgeAsk, allowed: boolean])[];
  /** Set when an API server cannot hold the objects: why. */
  readonly notForServers?: string;
}

/** Rules for a subject: cluster-wide, or in the namespaces that are named (none: in every namespace). */
export interface EdgeGrant {
  readonly to: SubjectName;
  readonly rules: readonly RuleInput[];
  readonly in?: readonly string[];
}

/** A question; what is not said is `get pods` of the core group in `default` by `u`. */
export interface EdgeAsk {
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly verb?: string;
  readonly apiGroup?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly path?: string;
}

const user = (name: string): SubjectName => ({ kind: "User", namespace: "", name });
const group = (name: string): SubjectName => ({ kind: "Group", namespace: "", name });
const account = (namespace: string, name: string): SubjectName => ({ kind: "ServiceAccount", namespace, name });

const U = user("u");
const PODS: RuleInput = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const resources = (...list: readonly string[]): RuleInput => ({ ...PODS, resources: list });
const names = (verbs: readonly string[], ...resourceNames: readonly string[]): RuleInput => ({
  ...PODS,
  verbs,
  resourceNames,
});
const urls = (...nonResourceURLs: readonly string[]): RuleInput => ({ verbs: ["get"], nonResourceURLs });
/** One rule for `u`, cluster-wide. */
const one = (name: string, rule: RuleInput, ...asks: EdgeCase["asks"]): EdgeCase => ({
  name,
  grants: [{ to: U, rules: [rule] }],
  asks,
});

const LONG = "n".repeat(1_000);

/** Groups 1 to 19 of permissions §16. */
export const EDGE_GROUPS: readonly EdgeGroup[] = [
  {
    number: 1,
    title: 'apiGroup "" vs absent vs *; request group *',
    cases: [
      one('"" is the core group only', PODS, [{}, true], [{ apiGroup: "apps" }, false], [{ apiGroup: "*" }, false]),
      {
        ...one("absent matches nothing", { ...PODS, apiGroups: [] }, [{}, false], [{ apiGroup: "*" }, false]),
        notForServers: "a rule without API groups is refused",
      },
      one("* is every group", { ...PODS, apiGroups: ["*"] }, [{ apiGroup: "apps" }, true], [{ apiGroup: "*" }, true]),
    ],
  },
  {
    number: 2,
    title: "verb * in rule and request, unknown, empty, upper case",
    cases: [
      one(
        "* in the rule",
        { ...PODS, verbs: ["*"] },
        [{ verb: "frobnicate" }, true],
        [{ verb: "*" }, true],
        [{ verb: "GET" }, true],
      ),
      one(
        "without it",
        PODS,
        [{ verb: "*" }, false],
        [{ verb: "frobnicate" }, false],
        [{ verb: "" }, false],
        [{ verb: "GET" }, false],
      ),
      one("a star with others", { ...PODS, verbs: ["get", "*"] }, [{ verb: "delete" }, true]),
    ],
  },
  {
    number: 3,
    title: "subresources: pods/log, *, */log, */scale",
    cases: [
      one("pods is not pods/log", PODS, [{ subresource: "log" }, false], [{}, true]),
      one("pods/log is not pods", resources("pods/log"), [{ subresource: "log" }, true], [{}, false]),
      one("* covers subresources", resources("*"), [{ subresource: "log" }, true], [{ resource: "secrets" }, true]),
      one(
        "*/log of any parent",
        resources("*/log"),
        [{ subresource: "log" }, true],
        [{ resource: "jobs", subresource: "log" }, true],
        [{}, false],
      ),
      one(
        "*/scale",
        resources("*/scale"),
        [{ resource: "deployments", subresource: "scale" }, true],
        [{ resource: "scale" }, false],
        [{ resource: "deployments" }, false],
      ),
    ],
  },
  {
    number: 4,
    title: "literals that look like patterns: pods/*, */*, p*, *pods, pods/, /log",
    cases: [
      one("pods/*", resources("pods/*"), [{ subresource: "log" }, false], [{}, false], [{ subresource: "*" }, true]),
      one("*/*", resources("*/*"), [{ subresource: "log" }, false], [{ subresource: "*" }, true], [{}, false]),
      one(
        "p* and *pods",
        resources("p*", "*pods"),
        [{}, false],
        [{ resource: "p*" }, true],
        [{ resource: "*pods" }, true],
      ),
      one("pods/", resources("pods/"), [{}, false], [{ subresource: "log" }, false]),
      one("/log", resources("/log"), [{ subresource: "log" }, false], [{ resource: "log" }, false]),
    ],
  },
  {
    number: 5,
    title: "slashes in subresource and resource",
    cases: [
      one(
        "subresource with a slash",
        resources("pods/a/b"),
        [{ subresource: "a/b" }, true],
        [{ subresource: "a" }, false],
      ),
      one("*/a/b", resources("*/a/b"), [{ subresource: "a/b" }, true], [{ subresource: "b" }, false]),
      one("resource with a slash, literal", resources("pods/log"), [{ resource: "pods/log" }, true]),
      one("which */log does not cover", resources("*/log"), [{ resource: "pods/log" }, false]),
      one(
        "both",
        resources("a/b/c"),
        [{ resource: "a/b", subresource: "c" }, true],
        [{ resource: "a", subresource: "b/c" }, true],
      ),
    ],
  },
  {
    number: 6,
    title: "resourceNames with and without a name, for every kind of verb; * as a name; duplicates",
    cases: [
      one("get", names(["get"], "a"), [{ name: "a" }, true], [{ name: "b" }, false], [{}, false]),
      ...["list", "watch", "create", "deletecollection"].map((verb) =>
        one(verb, names([verb], "a"), [{ verb }, false], [{ verb, name: "a" }, true], [{ verb, name: "b" }, false]),
      ),
      one("the literal *", names(["get"], "*"), [{ name: "a" }, false], [{ name: "*" }, true], [{}, false]),
      one("twice the same", names(["get"], "a", "a"), [{ name: "a" }, true], [{}, false]),
    ],
  },
  {
    number: 7,
    title: "several rules of one resource: no cross product of names and verbs",
    cases: [
      {
        name: "get a, update b",
        grants: [{ to: U, rules: [names(["get"], "a"), names(["update"], "b")] }],
        asks: [
          [{ name: "a" }, true],
          [{ name: "b" }, false],
          [{ verb: "update", name: "b" }, true],
          [{ verb: "update", name: "a" }, false],
        ],
      },
      {
        name: "the same from two bindings",
        grants: [
          { to: U, rules: [names(["get"], "a")] },
          { to: U, rules: [names(["update"], "b")] },
        ],
        asks: [
          [{ name: "b" }, false],
          [{ verb: "update", name: "a" }, false],
        ],
      },
    ],
  },
  {
    number: 8,
    title: "split grants: verb of one rule, resource of another",
    cases: [
      {
        name: "two rules",
        grants: [{ to: U, rules: [PODS, { ...PODS, verbs: ["delete"], resources: ["secrets"] }] }],
        asks: [
          [{}, true],
          [{ verb: "delete" }, false],
          [{ resource: "secrets" }, false],
          [{ verb: "delete", resource: "secrets" }, true],
        ],
      },
      {
        name: "two groups of the same person",
        grants: [
          { to: group("readers"), rules: [PODS] },
          { to: group("deleters"), rules: [{ ...PODS, verbs: ["delete"], resources: ["secrets"] }] },
        ],
        asks: [[{ groups: ["readers", "deleters"], verb: "delete" }, false]],
      },
    ],
  },
  {
    number: 9,
    title: "namespaced binding: its namespace, another, none; a cluster-scoped resource with a namespace",
    cases: [
      {
        name: "in default",
        grants: [{ to: U, rules: [PODS, resources("nodes")], in: ["default"] }],
        asks: [
          [{ namespace: "default" }, true],
          [{ namespace: "other" }, false],
          [{ namespace: "" }, false],
          [{ resource: "nodes", namespace: "default" }, true],
          [{ resource: "nodes", namespace: "" }, false],
        ],
      },
      {
        name: "in every namespace",
        grants: [{ to: U, rules: [PODS], in: [] }],
        asks: [
          [{ namespace: "other" }, true],
          [{ namespace: "" }, false],
        ],
      },
    ],
  },
  {
    number: 10,
    title: "cluster binding with and without a namespace",
    cases: [
      one(
        "cluster-wide",
        PODS,
        [{ namespace: "default" }, true],
        [{ namespace: "" }, true],
        [{ namespace: "unlisted" }, true],
      ),
    ],
  },
  {
    number: 11,
    title: "one role bound cluster-wide and namespaced at once",
    cases: [
      {
        name: "for the same person",
        grants: [
          { to: U, rules: [PODS] },
          { to: U, rules: [PODS], in: ["default"] },
        ],
        asks: [
          [{ namespace: "default" }, true],
          [{ namespace: "other" }, true],
          [{ namespace: "" }, true],
        ],
      },
      {
        name: "for two people",
        grants: [
          { to: U, rules: [PODS] },
          { to: user("v"), rules: [PODS], in: ["default"] },
        ],
        asks: [
          [{ namespace: "other" }, true],
          [{ user: "v", namespace: "other" }, false],
          [{ user: "v", namespace: "default" }, true],
        ],
      },
    ],
  },
  {
    number: 12,
    title: "non-resource URLs: stars, prefixes, slashes, queries, the empty path, case of the verb",
    cases: [
      one("*", urls("*"), [{ path: "/x/y" }, true], [{ path: "" }, true]),
      one("/", urls("/"), [{ path: "/" }, true], [{ path: "/x" }, false]),
      one("/api", urls("/api"), [{ path: "/api" }, true], [{ path: "/api/" }, false], [{ path: "/api?x=1" }, false]),
      one("/api*", urls("/api*"), [{ path: "/api" }, true], [{ path: "/apis" }, true], [{ path: "/ap" }, false]),
      one("/api/*", urls("/api/*"), [{ path: "/api/v1" }, true], [{ path: "/api" }, false], [{ path: "/api/" }, true]),
      one("/api/**", urls("/api/**"), [{ path: "/api/v1" }, true], [{ path: "/api" }, false]),
      one("**", urls("**"), [{ path: "/x" }, true]),
      one("/a/*/b", urls("/a/*/b"), [{ path: "/a/x/b" }, false], [{ path: "/a/*/b" }, true]),
      one("verb get", urls("/api"), [{ path: "/api", verb: "GET" }, false], [{ path: "/api", verb: "*" }, false]),
    ],
  },
  {
    number: 13,
    title: "a URL rule reached through a namespaced binding",
    cases: [
      {
        name: "grants no path",
        grants: [{ to: U, rules: [urls("/healthz"), PODS], in: ["default"] }],
        asks: [
          [{ path: "/healthz" }, false],
          [{ namespace: "default" }, true],
        ],
      },
    ],
  },
  {
    number: 14,
    title: "a path against resource rules and the reverse",
    cases: [
      one(
        "path",
        { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
        [{ path: "/api" }, false],
        [{ path: "" }, false],
      ),
      one("resource", { verbs: ["*"], nonResourceURLs: ["*"] }, [{}, false], [{ resource: "/api" }, false]),
    ],
  },
  {
    number: 15,
    title: "users, groups, service accounts; accounts by their full user name; wrong and missing namespaces; colons",
    cases: [
      {
        name: "a service account",
        grants: [{ to: account("default", "runner"), rules: [PODS] }],
        asks: [
          [{ user: "system:serviceaccount:default:runner" }, true],
          [{ user: "system:serviceaccount:other:runner" }, false],
          [{ user: "runner" }, false],
          [{ user: "x", groups: ["system:serviceaccount:default:runner"] }, false],
        ],
      },
      {
        name: "by its user name",
        grants: [{ to: user("system:serviceaccount:default:runner"), rules: [PODS] }],
        asks: [
          [{ user: "system:serviceaccount:default:runner" }, true],
          [{ user: "system:serviceaccount:other:runner" }, false],
        ],
      },
      {
        name: "without a namespace",
        grants: [{ to: account("", "runner"), rules: [PODS] }],
        asks: [
          [{ user: "system:serviceaccount::runner" }, false],
          [{ user: "runner" }, false],
        ],
        notForServers: "a service account without namespace is refused",
      },
      {
        name: "colons in a user name",
        grants: [{ to: user("a:b:c"), rules: [PODS] }],
        asks: [
          [{ user: "a:b:c" }, true],
          [{ user: "a:b" }, false],
        ],
      },
    ],
  },
  {
    number: 16,
    title: "group membership: none, one, several, twice; a user called like a group; anonymous",
    cases: [
      {
        name: "of dev",
        grants: [{ to: group("dev"), rules: [PODS] }],
        asks: [
          [{ user: "x" }, false],
          [{ user: "x", groups: ["dev"] }, true],
          [{ user: "x", groups: ["ops", "dev"] }, true],
          [{ user: "x", groups: ["dev", "dev"] }, true],
          [{ user: "dev" }, false],
        ],
      },
      {
        name: "a user dev is no member of dev",
        grants: [{ to: user("dev"), rules: [PODS] }],
        asks: [
          [{ user: "x", groups: ["dev"] }, false],
          [{ user: "dev" }, true],
        ],
      },
      {
        name: "anonymous",
        grants: [{ to: group("system:unauthenticated"), rules: [PODS] }],
        asks: [
          [{ user: "system:anonymous", groups: ["system:unauthenticated"] }, true],
          [{ user: "system:anonymous" }, false],
        ],
      },
    ],
  },
  {
    number: 17,
    title: "nothing: no rules, an empty rule, no subjects; the rest still applies",
    cases: [
      {
        name: "an empty rule beside a good one",
        grants: [{ to: U, rules: [{}, PODS] }],
        asks: [
          [{}, true],
          [{ verb: "list" }, false],
        ],
        notForServers: "an empty rule is refused",
      },
      {
        name: "an empty rule list beside a good one",
        grants: [
          { to: U, rules: [] },
          { to: U, rules: [PODS] },
        ],
        asks: [
          [{}, true],
          [{ verb: "list" }, false],
        ],
      },
      { name: "an empty rule list alone", grants: [{ to: U, rules: [] }], asks: [[{}, false]] },
      { name: "nobody has anything", grants: [], asks: [[{}, false]] },
    ],
  },
  {
    number: 18,
    title: "the same binding twice; a thousand bindings; a hundred groups",
    cases: [
      {
        name: "twice",
        grants: [
          { to: U, rules: [PODS] },
          { to: U, rules: [PODS] },
        ],
        asks: [
          [{}, true],
          [{ verb: "list" }, false],
        ],
      },
      {
        name: "a thousand",
        grants: Array.from({ length: 1_000 }, (_, i) => ({ to: U, rules: [resources(`r${i}`)] })),
        asks: [
          [{ resource: "r0" }, true],
          [{ resource: "r999" }, true],
          [{ resource: "r1000" }, false],
          [{ resource: "r5", verb: "list" }, false],
        ],
        notForServers: "a thousand roles for one question are left to the random worlds",
      },
      {
        name: "a hundred groups",
        grants: [{ to: group("g99"), rules: [PODS] }],
        asks: [
          [{ user: "x", groups: Array.from({ length: 100 }, (_, i) => `g${i}`) }, true],
          [{ user: "x", groups: Array.from({ length: 99 }, (_, i) => `g${i}`) }, false],
        ],
      },
    ],
  },
  {
    number: 19,
    title: "Unicode, look-alikes, and very long names",
    cases: [
      {
        name: "byte for byte",
        grants: [{ to: user("jürgen"), rules: [{ ...PODS, resourceNames: ["größe"] }] }],
        asks: [
          [{ user: "jürgen", name: "größe" }, true],
          [{ user: "ju\u0308rgen", name: "größe" }, false],
          [{ user: "jürgen", name: "gro\u0308ße" }, false],
        ],
      },
      {
        name: "Cyrillic a is not Latin a",
        grants: [{ to: user("admin"), rules: [PODS] }],
        asks: [
          [{ user: "\u0430dmin" }, false],
          [{ user: "admin\u200b" }, false],
          [{ user: "Admin" }, false],
          [{ user: "admin " }, false],
        ],
      },
      {
        name: "beyond the basic plane, and written from right to left",
        grants: [{ to: user("dev\u{1f680}"), rules: [{ ...PODS, resourceNames: ["\u{1f4a5}"] }] }],
        asks: [
          [{ user: "dev\u{1f680}", name: "\u{1f4a5}" }, true],
          [{ user: "dev\u{1f681}", name: "\u{1f4a5}" }, false],
          [{ user: "dev\u{1f680}", name: "\u{1f4a6}" }, false],
          [{ user: "\u202edev\u{1f680}", name: "\u{1f4a5}" }, false],
        ],
      },
      {
        name: "a thousand characters",
        grants: [{ to: user(LONG), rules: [PODS] }],
        asks: [
          [{ user: LONG }, true],
          [{ user: LONG.slice(1) }, false],
        ],
      },
    ],
  },
];

/** What an ask means in full. */
export function questionOf(ask: EdgeAsk): {
  readonly user: string;
  readonly groups: readonly string[];
  readonly request: AccessRequest;
} {
  const { user: who = "u", groups = [], path, ...rest } = ask;
  if (path !== undefined) return { user: who, groups, request: { form: "path", verb: rest.verb ?? "get", path } };
  const base = { verb: "get", apiGroup: "", resource: "pods", subresource: "", name: "", namespace: "default" };
  return { user: who, groups, request: { form: "resource", ...base, ...rest } };
}

/** Content that holds exactly these grants. */
export function contentOf(grants: readonly EdgeGrant[]): SnapshotContent {
  const ruleSets = new Map<string, RuleSet>();
  const subjects = new Map<string, SnapshotSubject & { bindings: SnapshotSubject["bindings"][number][] }>();
  for (const [i, { to, rules, in: namespaces }] of grants.entries()) {
    const set = ruleSetOf(rules.map(ruleOf));
    ruleSets.set(set.id, set);
    const key = subjectSortKey(to);
    const subject = subjects.get(key) ?? { ...to, principalRef: principalRefOf(to), bindings: [] };
    subjects.set(key, subject);
    subject.bindings.push({
      ruleSet: set.id,
      scope: namespaces === undefined ? "cluster" : "namespaced",
      namespaces: [...(namespaces ?? [])].sort(),
      expiresAt: "",
      source: {
        profileNamespace: "seam-system",
        profileName: `p${i}`,
        declaration: 0,
        permissionSet: "set",
        policy: "policy",
      },
    });
  }
  for (const { bindings } of subjects.values())
    bindings.sort((a, b) => (bindingSortKey(a) < bindingSortKey(b) ? -1 : 1));
  return {
    schemaVersion: 2,
    targetCluster: "tenant-1",
    ceilings: {},
    ruleSets: [...ruleSets.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    subjects: [...subjects.values()].sort((a, b) => (subjectSortKey(a) < subjectSortKey(b) ? -1 : 1)),
    profiles: [],
    suspendedPrincipals: [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}
