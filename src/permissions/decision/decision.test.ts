import { describe, expect, it } from "vitest";
import { SeededRandom, integerBetween } from "../../base/random.ts";
import { scanDecision } from "../../../test/oracle/permission-scan.ts";
import { ALPHABET, WORLD_NOW_MS, randomQuestion, randomWorld } from "../../../test/oracle/permission-worlds.ts";
import { indexOf } from "../index/permission-index.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import { principalRefOf } from "../rules/principal.ts";
import { check } from "./check.ts";
import { explain } from "./explain.ts";
import { listPermissions } from "./list-permissions.ts";
import { lookupResources } from "./lookup-resources.ts";
import { planAccess } from "./plan-access.ts";
import { whoCan } from "./who-can.ts";

const WORLDS = 400;

describe("decisions agree with each other", () => {
  const random = new SeededRandom(7);
  const worlds = Array.from({ length: WORLDS }, () => {
    const content = randomWorld(random);
    return { content, index: indexOf(content) };
  });

  it("who-can lists exactly the subjects for which a check is allowed or conditional", () => {
    let listed = 0;
    for (const { content, index } of worlds)
      for (let i = 0; i < 10; i++) {
        const { request } = randomQuestion(random);
        const found = whoCan(index, request, [], WORLD_NOW_MS).map(
          ({ subject, conditionalNames }) =>
            `${subject.kind} ${principalRefOf(subject)} ${conditionalNames.length > 0 ? "conditional" : "allowed"}`,
        );
        const expected: string[] = [];
        for (const subject of content.subjects) {
          const [user, groups] = subject.kind === "Group" ? ["", [subject.name]] : [principalRefOf(subject), []];
          const outcome = scanDecision(content, user, groups, request, WORLD_NOW_MS);
          if (outcome === "allowed" || outcome === "conditional")
            expected.push(`${subject.kind} ${principalRefOf(subject)} ${outcome}`);
        }
        listed += expected.length;
        expect(found).toEqual(expected);
      }
    expect(listed).toBeGreaterThan(1_000);
  });

  it("explain decides as check does, matches when allowed, and names near misses that really fail", () => {
    let misses = 0;
    for (const { index } of worlds)
      for (let i = 0; i < 20; i++) {
        const { user, groups, request } = randomQuestion(random);
        const principal = { user, groups };
        const decision = check(index, principal, request, WORLD_NOW_MS);
        const explanation = explain(index, principal, request, WORLD_NOW_MS);
        expect(explanation.decision).toEqual(decision);
        expect(explanation.matched.length > 0).toBe(decision.allowed);
        expect(explanation.nearMisses.length).toBeLessThanOrEqual(5);
        for (const { failed } of explanation.nearMisses) expect(failed.length).toBeGreaterThan(0);
        misses += explanation.nearMisses.length;
      }
    expect(misses).toBeGreaterThan(500);
  });

  it("a plan says the same as a check for every namespace and name", () => {
    const plans = new Map<string, number>();
    for (const { index } of worlds)
      for (let i = 0; i < 4; i++) {
        const { user, groups, request } = randomQuestion(random);
        if (request.form !== "resource") continue;
        const { verb, apiGroup, resource, subresource } = request;
        const plan = planAccess(index, { user, groups }, { verb, apiGroup, resource, subresource }, WORLD_NOW_MS);
        plans.set(plan.plan, (plans.get(plan.plan) ?? 0) + 1);
        for (const namespace of ["", "default", "kube-system", "other", "unlisted"])
          for (const name of ["", "a", "b", "c", "*", "zz"]) {
            const planned =
              plan.plan === "CONDITIONAL"
                ? plan.conditions.some(
                    (condition) =>
                      (condition.scope === "cluster" ||
                        (namespace !== "" &&
                          (condition.namespaces.length === 0 || condition.namespaces.includes(namespace)))) &&
                      (condition.names.length === 0 || condition.names.includes(name)),
                  )
                : plan.plan === "ALWAYS_ALLOWED";
            const decision = index.decide(user, groups, { ...request, namespace, name }, WORLD_NOW_MS);
            if (planned !== (decision === "allowed"))
              throw new Error(JSON.stringify({ user, groups, request, namespace, name, plan, decision }));
          }
      }
    const rarest = Math.min(...["ALWAYS_ALLOWED", "ALWAYS_DENIED", "CONDITIONAL"].map((kind) => plans.get(kind) ?? 0));
    expect(rarest).toBeGreaterThan(50);
  });

  it("a list holds a rule for every allowed request, and no other rule changes a decision", () => {
    for (const { index } of worlds.slice(0, 150))
      for (let i = 0; i < 10; i++) {
        const { user, groups, request } = randomQuestion(random);
        if (index.isSuspended(user)) continue;
        const rules = listPermissions(index, { user, groups }, "", WORLD_NOW_MS);
        const allowed = rules.some(({ grant, rule }) => {
          const world = { ...index.content, ruleSets: [{ id: "rs-x", rules: [rule] }], suspendedPrincipals: [] };
          const binding = { ...grant.binding, ruleSet: "rs-x" };
          const subjects = [{ ...grant.subject, bindings: [binding] }];
          return scanDecision({ ...world, subjects }, user, groups, request, WORLD_NOW_MS) === "allowed";
        });
        expect(allowed).toBe(index.decide(user, groups, request, WORLD_NOW_MS) === "allowed");
      }
  });

  it("lookup names a resource wherever a named request on it is allowed", () => {
    for (const { index } of worlds.slice(0, 150)) {
      const user = ALPHABET.users[integerBetween(random, 0, 3)] ?? "alice";
      const found = lookupResources(index, { user, groups: [] }, "get", undefined, WORLD_NOW_MS);
      const allowed = ["a", "b", "c", ""].some((name) =>
        ["", "default", "kube-system", "other"].some((namespace) => {
          const request: AccessRequest = {
            form: "resource",
            verb: "get",
            apiGroup: "apps",
            resource: "deployments",
            subresource: "",
            name,
            namespace,
          };
          return index.decide(user, [], request, WORLD_NOW_MS) === "allowed";
        }),
      );
      const named = found.some(
        ({ apiGroup, resource, subresource }) =>
          (apiGroup === "apps" || apiGroup === "*") &&
          subresource === "" &&
          (resource === "deployments" || resource === "*"),
      );
      // A name outside the alphabet may be the only one granted, so the reverse holds only one way.
      expect(allowed && !named).toBe(false);
    }
  });
});
