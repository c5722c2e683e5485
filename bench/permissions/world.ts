import { type Random, integerBetween } from "../../src/base/random.ts";
import { canonicalRules, ruleSetId } from "../../src/permissions/algebra/canonical.ts";
import { derivedGroups, principalRefOf, subjectOfPrincipal } from "../../src/permissions/rules/principal.ts";
import { type Rule, ruleOf } from "../../src/permissions/rules/rule.ts";
import type { AccessRequest } from "../../src/permissions/rules/access-request.ts";
import type {
  RuleSet,
  SnapshotBinding,
  SnapshotContent,
  SnapshotSubject,
} from "../../src/permissions/snapshot/content.ts";

/** Size of the world behind the published figures: 1,000 roles, 10,000 bindings (libraries.md). */
export const BENCH_ROLES = 1_000;
/** See {@link BENCH_ROLES}. */
export const BENCH_BINDINGS = 10_000;
const USERS = 2_000;
const GROUPS = 200;
const VERBS = ["get", "list", "watch", "create", "update", "patch", "delete"];

function pick<T>(random: Random, list: readonly T[]): T {
  const value = list[integerBetween(random, 0, list.length - 1)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}

function role(random: Random, i: number): RuleSet {
  const rules: Rule[] = [];
  for (let r = integerBetween(random, 1, 4); r > 0; r--)
    rules.push(
      ruleOf({
        apiGroups: [pick(random, ["", "apps", "batch", `group${i % 40}.example.org`])],
        resources: Array.from({ length: integerBetween(random, 1, 3) }, () =>
          random.next() < 0.03
            ? "*"
            : `resource${integerBetween(random, 0, 80)}${random.next() < 0.1 ? "/status" : ""}`,
        ),
        verbs:
          random.next() < 0.05
            ? ["*"]
            : Array.from({ length: integerBetween(random, 1, 4) }, () => pick(random, VERBS)),
        resourceNames: random.next() < 0.1 ? [`name${integerBetween(random, 0, 20)}`] : [],
      }),
    );
  const canonical = canonicalRules(rules);
  return { id: ruleSetId(canonical), rules: canonical };
}

/** 1,000 roles bound 10,000 times to 2,000 users and service accounts and 200 groups, half of it in namespaces. */
export function benchWorld(random: Random): SnapshotContent {
  const ruleSets = [
    ...new Map(Array.from({ length: BENCH_ROLES }, (_, i) => role(random, i)).map((s) => [s.id, s])).values(),
  ];
  ruleSets.sort((a, b) => (a.id < b.id ? -1 : 1));
  const bindings = new Map<string, SnapshotBinding[]>();
  for (let i = 0; i < BENCH_BINDINGS; i++) {
    const group = random.next() < 0.3;
    const key = group
      ? `group:${integerBetween(random, 0, GROUPS - 1)}`
      : `user:${integerBetween(random, 0, USERS - 1)}`;
    const namespaced = random.next() < 0.5;
    const list = bindings.get(key) ?? [];
    list.push({
      ruleSet: pick(random, ruleSets).id,
      scope: namespaced ? "namespaced" : "cluster",
      namespaces: namespaced ? [`namespace${integerBetween(random, 0, 30)}`] : [],
      expiresAt: "",
      source: {
        profileNamespace: "seam-system",
        profileName: `profile${i}`,
        declaration: 0,
        permissionSet: "set",
        policy: "policy",
      },
    });
    bindings.set(key, list);
  }
  const subjects = [...bindings].map(([key, list]): SnapshotSubject => {
    const number = Number(key.slice(key.indexOf(":") + 1));
    const subject = key.startsWith("group:")
      ? ({ kind: "Group", namespace: "", name: `group${number}` } as const)
      : subjectOfPrincipal(userName(number));
    const { kind, namespace, name } = subject;
    return { kind, namespace, name, principalRef: principalRefOf(subject), bindings: list };
  });
  return {
    schemaVersion: 2,
    targetCluster: "tenant-1",
    ceilings: {},
    ruleSets,
    subjects,
    profiles: [],
    suspendedPrincipals: [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}

function userName(number: number): string {
  return number % 3 === 0 ? `system:serviceaccount:namespace${number % 31}:account${number}` : `user${number}`;
}

/** One question of the run. */
export interface BenchQuestion {
  readonly user: string;
  readonly groups: readonly string[];
  readonly request: AccessRequest;
}

/** Questions as an API server asks them: a user with derived and two own groups, mostly in a namespace. */
export function benchQuestions(random: Random, count: number): readonly BenchQuestion[] {
  return Array.from({ length: count }, () => {
    const user = userName(integerBetween(random, 0, USERS - 1));
    return {
      user,
      groups: [
        ...derivedGroups(user),
        `group${integerBetween(random, 0, GROUPS - 1)}`,
        `group${integerBetween(random, 0, GROUPS - 1)}`,
      ],
      request: {
        form: "resource",
        verb: pick(random, VERBS),
        apiGroup: pick(random, ["", "apps", "batch", `group${integerBetween(random, 0, 39)}.example.org`]),
        resource: `resource${integerBetween(random, 0, 80)}`,
        subresource: random.next() < 0.1 ? "status" : "",
        name: random.next() < 0.5 ? `name${integerBetween(random, 0, 20)}` : "",
        namespace: random.next() < 0.8 ? `namespace${integerBetween(random, 0, 30)}` : "",
      },
    };
  });
}
