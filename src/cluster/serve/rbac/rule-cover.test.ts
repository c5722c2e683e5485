import { describe, expect, it } from "vitest";
import { ruleOf } from "../../../api/rbac/rule.ts";
import { compactRules, missingAtoms, TooBroadError } from "./rule-cover.ts";

const text = (held: Parameters<typeof ruleOf>[0], wanted: Parameters<typeof ruleOf>[0]): readonly string[] =>
  compactRules(missingAtoms([ruleOf(held)], [ruleOf(wanted)]));

describe("missingAtoms", () => {
  it("takes wildcards and subresources for what they are", () => {
    const all = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
    expect(text(all, { verbs: ["*"], apiGroups: [""], resources: ["pods/log", "*/scale"] })).toEqual([]);
    const scale = { verbs: ["get"], apiGroups: ["apps"], resources: ["*/scale"] };
    expect(text(scale, { ...scale, resources: ["deployments/scale"] })).toEqual([]);
    expect(text({ ...scale, resources: ["deployments/scale"] }, scale)).toEqual([
      '{APIGroups:["apps"], Resources:["*/scale"], Verbs:["get"]}',
    ]);
    expect(text({ ...all, verbs: ["get"] }, all)).toEqual(['{APIGroups:["*"], Resources:["*"], Verbs:["*"]}']);
  });

  it("does not take a name for every name", () => {
    const named = { verbs: ["get"], apiGroups: [""], resources: ["secrets"], resourceNames: ["a"] };
    expect(text({ ...named, resourceNames: [] }, named)).toEqual([]);
    expect(text(named, { ...named, resourceNames: ["a", "b"] })).toEqual([
      '{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}',
    ]);
    expect(text(named, { ...named, resourceNames: [] })).toHaveLength(1);
  });

  it("compares paths by prefix", () => {
    const held = { verbs: ["get"], nonResourceURLs: ["/logs/*"] };
    expect(text(held, { verbs: ["get"], nonResourceURLs: ["/logs/a", "/logs/*"] })).toEqual([]);
    expect(text(held, { verbs: ["get"], nonResourceURLs: ["/logs*"] })).toEqual([
      '{NonResourceURLs:["/logs*"], Verbs:["get"]}',
    ]);
  });

  it("gives up on rules that multiply without end", () => {
    const many = Array.from({ length: 1000 }, (_, i) => `r${i}`);
    expect(() => missingAtoms([], [ruleOf({ verbs: many, apiGroups: many, resources: many })])).toThrow(TooBroadError);
  });
});
