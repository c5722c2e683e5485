import { describe, expect, it } from "vitest";
import { matchesLabels, parseLabelSelector } from "./label-selector.ts";
import { parseFieldSelector } from "./field-selector.ts";

const matches = (text: string, labels: Record<string, string>): boolean =>
  matchesLabels(parseLabelSelector(text), labels);

describe("label selectors", () => {
  it("match as Kubernetes documents them", () => {
    expect(matches("", {})).toBe(true);
    expect(matches("a=b", { a: "b" })).toBe(true);
    expect(matches("a==b,c!=d", { a: "b" })).toBe(true);
    expect(matches("a in (x,y)", { a: "y" })).toBe(true);
    expect(matches("a notin (x,y)", {})).toBe(true);
    expect(matches("a notin (x,y)", { a: "x" })).toBe(false);
    expect(matches("example.com/a", { "example.com/a": "" })).toBe(true);
    expect(matches("!a", { a: "" })).toBe(false);
    expect(matches("n>5,n<7", { n: "6" })).toBe(true);
    expect(matches("n>5", { n: "5" })).toBe(false);
    expect(matches("a=", { a: "" })).toBe(true);
    expect(matches("constructor", {})).toBe(false);
  });

  it("refuse what is no selector", () => {
    for (const [bad, why] of [
      ["a in (b", "unable to parse requirement: found '', expected: ',' or ')'"],
      ["a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
      ["=x", "found '=', expected: !, identifier, or 'end of string'"],
      ["a=b=c", "found '=', expected: ',' or 'end of string'"],
      ["-a", 'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of'],
      [
        "n>x",
        "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be",
      ],
      ["a=b c", "found 'c', expected: ',' or 'end of string'"],
      [",", "found ',', expected: !, identifier, or 'end of string'"],
      ["a,", "found '', expected: identifier after ','"],
    ] as const)
      expect(() => parseLabelSelector(bad)).toThrow(why);
  });
});

describe("field selectors", () => {
  it("unescape and refuse fields the kind does not offer", () => {
    expect(parseFieldSelector("metadata.name=a\\,b,metadata.namespace!=c", new Set())).toEqual([
      { path: "metadata.name", equal: true, value: "a,b" },
      { path: "metadata.namespace", equal: false, value: "c" },
    ]);
    expect(() => parseFieldSelector("spec.x=1", new Set(["spec.y"]))).toThrow("field label not supported: spec.x");
  });
});
