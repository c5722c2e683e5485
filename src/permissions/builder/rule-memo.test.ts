import { describe, expect, it } from "vitest";
import { RuleBudgetExceeded } from "../algebra/budget.ts";
import { excessOver } from "../ceilings/excess.ts";
import { RuleMemo } from "./rule-memo.ts";

const rule = (...resources: readonly string[]) => ({ verbs: ["get"], apiGroups: [""], resources });

describe("RuleMemo.trim", () => {
  it("finds out each of both once, in a step of its own", () => {
    const memo = new RuleMemo();
    const ceiling = memo.ofRules([rule("pods")]);
    const rules = memo.ofRules([rule("pods"), rule("secrets")]);
    expect([...memo.trim(ceiling, rules)]).toHaveLength(2);
    expect([...memo.trim(ceiling, rules)]).toHaveLength(0);
    expect(memo.excess(ceiling, rules)).toEqual(excessOver(ceiling.rules, rules.rules));
    expect(memo.intersection(rules, ceiling).rules).toEqual(memo.ofRules([rule("pods")]).rules);
    memo.intersection(memo.ofRules([rule("nodes")]), rules);
    expect([...memo.trim(memo.ofRules([rule("nodes")]), rules)]).toHaveLength(1);
  });

  it("does not fail for what is over budget: whoever asks is told", () => {
    const memo = new RuleMemo();
    const names = Array.from({ length: 300 }, (_, i) => `n${i}`);
    const rules = memo.ofRules([{ verbs: ["get"], apiGroups: names, resources: names }]);
    const ceiling = memo.ofRules([{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }]);
    expect([...memo.trim(ceiling, rules)]).toHaveLength(2);
    expect([...memo.trim(ceiling, rules)]).toEqual([]);
    expect(() => memo.intersection(rules, ceiling)).toThrow(RuleBudgetExceeded);
  });
});
