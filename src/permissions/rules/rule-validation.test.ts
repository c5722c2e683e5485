import { describe, expect, it } from "vitest";
import { canonicalRules, ruleSetId, rulesHash } from "../algebra/canonical.ts";
import { lintRules } from "./rule-lint.ts";
import { findingText, validateRules } from "./rule-validation.ts";

describe("validateRules", () => {
  it("reports everything that is wrong, with field, expectation and remedy", () => {
    const findings = validateRules(
      [
        { verbs: [], apiGroups: [""], resources: ["pods"] },
        { verbs: ["get"], resources: ["pods"] },
        { verbs: ["get"], apiGroups: [""], resources: [""], resourceNames: ["a", ""] },
        { verbs: ["g t"], nonResourceURLs: ["api"], resources: ["pods"] },
      ],
      "spec.permissions",
    );
    expect(findings.map(findingText)).toEqual([
      "spec.permissions[0].verbs: at least one verb is required, found none; name the verbs",
      'spec.permissions[1].apiGroups: a resource rule names its API groups, found none (which one reader takes for core and another for nothing); write [""] for the core group or ["*"] for all',
      'spec.permissions[2].resources[0]: entries are non-empty, found ""; remove the empty entry',
      'spec.permissions[2].resourceNames[1]: entries are non-empty, found ""; remove the empty entry',
      'spec.permissions[3].verbs[0]: a verb is 1 to 63 characters of A-Z a-z 0-9 * _ -, found "g t"; use the verb as the API server names it',
      "spec.permissions[3].resources: a rule with nonResourceURLs has no resources, found 1; make two rules of it",
      'spec.permissions[3].nonResourceURLs[0]: a path starts with "/" or is "*", found "api"; write the path from the root',
    ]);
  });

  it("holds the budgets", () => {
    const rule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
    expect(validateRules([], "p")).toHaveLength(1);
    expect(
      validateRules(
        Array.from({ length: 1_001 }, () => rule),
        "p",
      ),
    ).toHaveLength(1);
    const wide = Array.from({ length: 300 }, (_, i) => `x${i}`);
    expect(validateRules([{ verbs: ["get"], apiGroups: wide, resources: wide }], "p").map((f) => f.message)).toEqual([
      "rules expand to at most 65536 entries (groups x resources x names), found 90000",
    ]);
  });

  it("warns of what is valid and probably not meant", () => {
    const rule = { verbs: ["*", "create"], apiGroups: [""], resources: ["pods/*", "*/log"], resourceNames: ["a*"] };
    expect(lintRules([rule, { verbs: ["get"], nonResourceURLs: ["/a/*/b"] }], "p").map((f) => f.message)).toEqual([
      '"*" lets its holder widen rights',
      '"pods/*" is a literal, not a pattern',
      '"a*" is a literal name, not a pattern',
      '"create" requests usually carry no name, so this rule seldom grants it',
      'a star inside "/a/*/b" is a literal',
    ]);
  });
});

describe("canonical rules", () => {
  const a = { verbs: ["list", "get", "get"], apiGroups: ["apps", ""], resources: ["pods"] };
  const b = { verbs: ["*", "get"], apiGroups: ["*", ""], resources: ["*", "pods"], resourceNames: ["*", "x"] };

  it("have one text for equal content in any order, and never absorb names", () => {
    expect(rulesHash([a, b, a])).toBe(rulesHash([b, { ...a, verbs: ["get", "list"], apiGroups: ["", "apps"] }]));
    expect(canonicalRules([b])[0]).toMatchObject({ verbs: ["*"], resources: ["*"], resourceNames: ["*", "x"] });
  });

  it("have the published id", () => {
    // Computed once from the JCS text; a change here changes every snapshot of every fleet.
    expect(ruleSetId(canonicalRules([a]))).toBe("rs-b1ca525dbd5d17a9045d2f353d2f469d");
  });
});
