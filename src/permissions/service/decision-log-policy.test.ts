import { describe, expect, it } from "vitest";
import { DEFAULT_DECISION_LOG_POLICY, parseDecisionLogPolicy, ruleFor } from "./decision-log-policy.ts";

describe("decision log policy", () => {
  it("decides by the first rule that matches", () => {
    const policy = parseDecisionLogPolicy(
      '{"allowSampleRate":0.1,"rules":[{"principals":["system:node:*"],"verbs":["get"],"allowSampleRate":0},{"resources":["secrets*"],"allowSampleRate":1,"mask":["resource"]}]}',
      "policy",
    );
    const by = (principal: string, verb: string, resource: string) => ruleFor(policy, { principal, verb, resource });
    expect(by("system:node:a", "get", "secrets/x")).toMatchObject({ allowSampleRate: 0 });
    expect(by("system:node:a", "list", "secrets/x")).toMatchObject({ allowSampleRate: 1, mask: ["resource"] });
    expect(by("ann", "get", "pods")).toBeUndefined();
    expect(policy.allowSampleRate).toBe(0.1);
    expect(parseDecisionLogPolicy("{}", "policy")).toEqual(DEFAULT_DECISION_LOG_POLICY);
  });

  it.each([
    ["{", /policy: JSON: /],
    ["[]", /policy: an object; docs\/audit\.md shows a policy/],
    ['{"allowSampleRate":2}', /policy: allowSampleRate: a number from 0 to 1/],
    ['{"denySampleRate":0}', /policy: denySampleRate: one of allowSampleRate, rules/],
    ['{"rules":[{"verbs":[""]}]}', /policy: rules\[0\]\.verbs\[0\]: a text/],
    [
      '{"rules":[{},{"mask":["decision"]}]}',
      /rules\[1\]\.mask\[0\]: one of caller, namespace, requestId, resource, subject/,
    ],
  ])("refuses %s by its member", (text, message) => {
    expect(() => parseDecisionLogPolicy(text, "policy")).toThrow(message);
  });
});
