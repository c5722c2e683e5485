import { describe, expect, it } from "vitest";
import { scanDecision } from "../../../test/oracle/permission-scan.ts";
import { ruleSetOf } from "../../../test/oracle/permission-worlds.ts";
import { indexOf } from "../index/permission-index.ts";
import type { SnapshotContent } from "../snapshot/content.ts";
import { combinedResource } from "../../api/rbac/match.ts";
import type { AccessRequest } from "./access-request.ts";
import { ruleAllows } from "./match.ts";
import { type RuleInput, ruleOf } from "./rule.ts";

/** One row: rule, request, and what Kubernetes answers (permissions §5.3, §5.7, §16). */
interface Row {
  readonly name: string;
  readonly rule: RuleInput;
  readonly ask:
    | Partial<Omit<Extract<AccessRequest, { form: "resource" }>, "form">>
    | { readonly path: string; readonly verb?: string };
  readonly allowed: boolean;
}

const PODS: RuleInput = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };

const ROWS: readonly Row[] = [
  { name: "group: empty string is core only", rule: PODS, ask: { apiGroup: "apps" }, allowed: false },
  { name: "group: absent matches nothing", rule: { ...PODS, apiGroups: [] }, ask: {}, allowed: false },
  { name: "group: * is all", rule: { ...PODS, apiGroups: ["*"] }, ask: { apiGroup: "apps" }, allowed: true },
  { name: "group: * in the request is a literal", rule: PODS, ask: { apiGroup: "*" }, allowed: false },
  { name: "verb: * in the rule", rule: { ...PODS, verbs: ["*"] }, ask: { verb: "anything" }, allowed: true },
  { name: "verb: * in the request needs * in the rule", rule: PODS, ask: { verb: "*" }, allowed: false },
  { name: "verb: upper case is another verb", rule: PODS, ask: { verb: "GET" }, allowed: false },
  { name: "verb: empty", rule: PODS, ask: { verb: "" }, allowed: false },
  { name: "resource: pods is not pods/log", rule: PODS, ask: { subresource: "log" }, allowed: false },
  {
    name: "resource: pods/log",
    rule: { ...PODS, resources: ["pods/log"] },
    ask: { subresource: "log" },
    allowed: true,
  },
  { name: "resource: pods/log is not pods", rule: { ...PODS, resources: ["pods/log"] }, ask: {}, allowed: false },
  {
    name: "resource: * covers subresources",
    rule: { ...PODS, resources: ["*"] },
    ask: { subresource: "log" },
    allowed: true,
  },
  { name: "resource: */log", rule: { ...PODS, resources: ["*/log"] }, ask: { subresource: "log" }, allowed: true },
  { name: "resource: */log is not the parent", rule: { ...PODS, resources: ["*/log"] }, ask: {}, allowed: false },
  {
    name: "resource: */scale is not a resource called scale",
    rule: { ...PODS, resources: ["*/scale"] },
    ask: { resource: "scale" },
    allowed: false,
  },
  {
    name: "resource: pods/* is a literal",
    rule: { ...PODS, resources: ["pods/*"] },
    ask: { subresource: "log" },
    allowed: false,
  },
  {
    name: "resource: pods/* matches a subresource named *",
    rule: { ...PODS, resources: ["pods/*"] },
    ask: { subresource: "*" },
    allowed: true,
  },
  {
    name: "resource: */* only subresource *",
    rule: { ...PODS, resources: ["*/*"] },
    ask: { subresource: "*" },
    allowed: true,
  },
  {
    name: "resource: */* is not a wildcard",
    rule: { ...PODS, resources: ["*/*"] },
    ask: { subresource: "log" },
    allowed: false,
  },
  { name: "resource: p* is a literal", rule: { ...PODS, resources: ["p*"] }, ask: {}, allowed: false },
  { name: "resource: *pods is a literal", rule: { ...PODS, resources: ["*pods"] }, ask: {}, allowed: false },
  {
    name: "subresource with a slash",
    rule: { ...PODS, resources: ["*/a/b"] },
    ask: { subresource: "a/b" },
    allowed: true,
  },
  { name: "name: match", rule: { ...PODS, resourceNames: ["a"] }, ask: { name: "a" }, allowed: true },
  { name: "name: other", rule: { ...PODS, resourceNames: ["a"] }, ask: { name: "b" }, allowed: false },
  { name: "name: none given", rule: { ...PODS, resourceNames: ["a"] }, ask: {}, allowed: false },
  { name: "name: * is a literal", rule: { ...PODS, resourceNames: ["*"] }, ask: { name: "a" }, allowed: false },
  { name: "name: the name *", rule: { ...PODS, resourceNames: ["*"] }, ask: { name: "*" }, allowed: true },
  { name: "name: twice the same", rule: { ...PODS, resourceNames: ["a", "a"] }, ask: { name: "a" }, allowed: true },
  { name: "path: exact", rule: { verbs: ["get"], nonResourceURLs: ["/api"] }, ask: { path: "/api" }, allowed: true },
  {
    name: "path: /api/* is not /api",
    rule: { verbs: ["get"], nonResourceURLs: ["/api/*"] },
    ask: { path: "/api" },
    allowed: false,
  },
  {
    name: "path: /api* is /apis too",
    rule: { verbs: ["get"], nonResourceURLs: ["/api*"] },
    ask: { path: "/apis" },
    allowed: true,
  },
  {
    name: "path: all trailing stars go",
    rule: { verbs: ["get"], nonResourceURLs: ["/api/**"] },
    ask: { path: "/api/v1" },
    allowed: true,
  },
  { name: "path: *", rule: { verbs: ["get"], nonResourceURLs: ["*"] }, ask: { path: "/x" }, allowed: true },
  {
    name: "path: a star inside is a literal",
    rule: { verbs: ["get"], nonResourceURLs: ["/a/*/b"] },
    ask: { path: "/a/x/b" },
    allowed: false,
  },
  {
    name: "path: trailing slash",
    rule: { verbs: ["get"], nonResourceURLs: ["/api"] },
    ask: { path: "/api/" },
    allowed: false,
  },
  {
    name: "path: query string",
    rule: { verbs: ["get"], nonResourceURLs: ["/api"] },
    ask: { path: "/api?x" },
    allowed: false,
  },
  {
    name: "path: verb",
    rule: { verbs: ["get"], nonResourceURLs: ["/api"] },
    ask: { path: "/api", verb: "GET" },
    allowed: false,
  },
  { name: "path against a resource rule", rule: { ...PODS, resources: ["*"] }, ask: { path: "/api" }, allowed: false },
  { name: "resource against a URL rule", rule: { verbs: ["*"], nonResourceURLs: ["*"] }, ask: {}, allowed: false },
  { name: "empty rule", rule: {}, ask: {}, allowed: false },
];

function requestOf(ask: Row["ask"]): AccessRequest {
  if ("path" in ask) return { form: "path", verb: "get", ...ask };
  const base = { verb: "get", apiGroup: "", resource: "pods", subresource: "", name: "", namespace: "default" };
  return { form: "resource", ...base, ...ask };
}

function worldOf(rules: readonly RuleInput[]): SnapshotContent {
  const source = { profileNamespace: "n", profileName: "p", declaration: 0, permissionSet: "s", policy: "q" };
  const set = ruleSetOf(rules.map(ruleOf));
  return {
    schemaVersion: 2,
    targetCluster: "c",
    ceilings: {},
    ruleSets: [set],
    subjects: [
      {
        kind: "User",
        namespace: "",
        name: "u",
        principalRef: "u",
        bindings: [{ ruleSet: set.id, scope: "cluster", namespaces: [], expiresAt: "", source }],
      },
    ],
    profiles: [],
    suspendedPrincipals: [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}

describe("match predicates are those of Kubernetes", () => {
  it.each(ROWS)("$name", ({ rule, ask, allowed }) => {
    const request = requestOf(ask);
    expect(ruleAllows(ruleOf(rule), request)).toBe(allowed);
    const world = worldOf([rule]);
    expect(scanDecision(world, "u", [], request, 0) === "allowed").toBe(allowed);
    expect(indexOf(world).decide("u", [], request, 0) === "allowed").toBe(allowed);
  });

  it("never combines the verb of one rule with the resource or name of another", () => {
    const world = worldOf([
      { ...PODS, resourceNames: ["a"] },
      { ...PODS, verbs: ["update"], resourceNames: ["b"] },
      { ...PODS, verbs: ["delete"], resources: ["secrets"] },
    ]);
    const index = indexOf(world);
    const ask = (verb: string, name: string) => index.decide("u", [], requestOf({ verb, name }), 0);
    expect([ask("get", "a"), ask("get", "b"), ask("update", "b"), ask("update", "a"), ask("delete", "a")]).toEqual([
      "allowed",
      "noMatchingRule",
      "allowed",
      "noMatchingRule",
      "noMatchingRule",
    ]);
  });

  it("keeps more than 64 distinct verbs apart", () => {
    const verbs = Array.from({ length: 200 }, (_, i) => `verb${i}`);
    const index = indexOf(worldOf(verbs.map((verb, i) => ({ ...PODS, verbs: [verb], resources: [`r${i}`] }))));
    for (const [i, verb] of verbs.entries()) {
      expect(index.decide("u", [], requestOf({ verb, resource: `r${i}` }), 0)).toBe("allowed");
      expect(index.decide("u", [], requestOf({ verb, resource: `r${(i + 1) % 200}` }), 0)).toBe("noMatchingRule");
    }
  });

  it("joins resource and subresource as rules write them", () => {
    expect([combinedResource("pods", ""), combinedResource("pods", "log")]).toEqual(["pods", "pods/log"]);
  });
});
