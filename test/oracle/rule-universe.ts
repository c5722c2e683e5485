import { type Random, integerBetween } from "../../src/base/random.ts";
import type { AccessRequest } from "../../src/permissions/rules/access-request.ts";
import { type Rule, ruleOf } from "../../src/permissions/rules/rule.ts";

/**
 * Brute force over a small universe: every well-formed request that rules over these tokens can tell apart. One token of each
 * dimension (`fresh`) is named by no rule; it stands for all others that wildcards reach.
 */

const GROUPS = ["", "apps"];
const RESOURCES = ["pods", "scale"];
const SUBRESOURCES = ["log", "*", "a/b"];
const VERBS = ["get", "list"];
const NAMES = ["a", "b"];
const PATHS = ["/", "/api", "/api/v1", "/apis", "/a/*/b"];

const RULE_RESOURCES = ["pods", "scale", "pods/log", "*/log", "pods/*", "*/*", "*/a/b", "pods/a/b", "p*"];
const RULE_PATHS = ["/", "/api", "/api*", "/api/*", "/api/**", "**", "/a/*/b", "/a/*", "/apis"];

/** Every request of the universe. */
export const UNIVERSE: readonly AccessRequest[] = [...resourceRequests(), ...pathRequests()];

function* resourceRequests(): Generator<AccessRequest> {
  for (const verb of [...VERBS, "*", "fresh"])
    for (const apiGroup of [...GROUPS, "fresh"])
      for (const resource of [...RESOURCES, "*", "p*", "fresh"])
        for (const subresource of ["", ...SUBRESOURCES, "fresh"])
          for (const name of ["", ...NAMES, "fresh"])
            yield { form: "resource", verb, apiGroup, resource, subresource, name, namespace: "" };
}

function* pathRequests(): Generator<AccessRequest> {
  for (const verb of [...VERBS, "*", "fresh"])
    for (const path of [
      "",
      "fresh",
      ...PATHS.flatMap((p) => [p, `${p}fresh`]),
      "/api/",
      "/api/fresh",
      "/a/",
      "/a/fresh",
    ])
      yield { form: "path", verb, path };
}

function some(random: Random, list: readonly string[], max: number): readonly string[] {
  return Array.from(
    { length: integerBetween(random, 1, max) },
    () => list[integerBetween(random, 0, list.length - 1)] ?? "",
  );
}

function wild(random: Random, list: readonly string[], max: number): readonly string[] {
  return random.next() < 0.3 ? ["*"] : some(random, list, max);
}

/** A random rule over the universe; seldom a mixed or an empty one. */
export function universeRule(random: Random): Rule {
  const verbs = wild(random, VERBS, 2);
  const form = random.next();
  const urls = form < 0.25 ? { nonResourceURLs: wild(random, RULE_PATHS, 3) } : {};
  if (form < 0.2) return ruleOf({ verbs, ...urls });
  if (form > 0.98) return ruleOf({ verbs, apiGroups: [] });
  return ruleOf({
    verbs,
    apiGroups: wild(random, GROUPS, 2),
    resources: random.next() < 0.2 ? ["*"] : some(random, RULE_RESOURCES, 3),
    resourceNames: random.next() < 0.4 ? some(random, NAMES, 2) : [],
    ...urls,
  });
}

/** One to `max` random rules. */
export function universeRules(random: Random, max = 3): readonly Rule[] {
  return Array.from({ length: integerBetween(random, 1, max) }, () => universeRule(random));
}
