import { describe, expect, it } from "vitest";
import { compilePattern } from "./re2-pattern.ts";

describe("compilePattern", () => {
  it("reads the common RE2 forms that JavaScript lacks", () => {
    expect(compilePattern("(?i)^abc$")?.test("ABC")).toBe(true);
    expect(compilePattern("\\A(?P<x>[[:digit:]]+)\\z")?.test("123")).toBe(true);
    expect(compilePattern("^[[:alpha:]_-]+$")?.test("a_b-C")).toBe(true);
    expect(compilePattern("^\\p{Lu}+$")?.test("ÀB")).toBe(true);
    expect(compilePattern("^[\\w\\-.]+$")?.test("a-b.c")).toBe(true);
  });

  it("does not take what RE2 would refuse", () => {
    const accepted = ["(?=a)b", "(a)\\1", "(?<!x)y", "("].filter((bad) => compilePattern(bad) !== undefined);
    expect(accepted).toEqual([]);
  });
});
