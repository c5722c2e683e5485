import { describe, expect, it } from "vitest";
import { CelEngine } from "./cel-engine.ts";
import { adaptSource, mentionsOldSelf } from "./cel-source.ts";
import { Quantity } from "./quantity.ts";

describe("adaptSource", () => {
  it("rewrites has() behind an index or a call, and matches(), outside string literals only", () => {
    expect(adaptSource("has(self.a.b)")).toBe("has(self.a.b)");
    expect(adaptSource("has(self.a[0].b)")).toBe("((self.a[0]).?b.hasValue())");
    expect(adaptSource("has(self['has(x)'].b) || 'has(a[0].b)' == self.s")).toBe(
      "((self['has(x)']).?b.hasValue()) || 'has(a[0].b)' == self.s",
    );
    expect(adaptSource("self.s.matches('.matches(')")).toBe("self.s.matchesRe2('.matches(')");
    expect(adaptSource("has(self.l.filter(x, has(x[0].y))[0].z)")).toBe(
      "((self.l.filter(x, seamCountRound() && ( ((x[0]).?y.hasValue())))[0]).?z.hasValue())",
    );
  });

  it("finds transition rules by a word, not by text", () => {
    expect(mentionsOldSelf("self == oldSelf")).toBe(true);
    expect(mentionsOldSelf("self == 'oldSelf' || self.oldSelfish == 1")).toBe(false);
  });
});

describe("CelEngine", () => {
  const engine = new CelEngine();
  const run = (rule: string, self: unknown, oldSelf?: unknown): unknown => engine.compile(rule).run(self, oldSelf);

  it("compiles once per text and names what does not compile", () => {
    expect(engine.compile("self > 1")).toBe(engine.compile("self > 1"));
    expect(() => engine.compile("nope(self)")).toThrow("nope");
    expect(() => engine.compile("other == 1")).toThrow("Unknown variable: other");
  });

  it("ends loops that take too many rounds, and counts each evaluation alone", () => {
    const list = Array.from({ length: 400 }, (_, i) => BigInt(i));
    const nested = "self.all(x, self.map(y, y + x).all(z, z >= 0))";
    expect(() => run(nested, list)).toThrow("operation cancelled: actual cost limit exceeded");
    expect(run(nested, list.slice(0, 100))).toBe(true);
    expect(
      run("self.exists_one(x, x == 3) && self.filter(x, x > 5).size() > self.map(x, x < 9, x * 2).size()", list),
    ).toBe(true);
    expect(run("{'a,b': 1, 'c(': 2}.all(k, k.size() > 1 && [1, 2].exists(n, n == 1))", list)).toBe(true);
  });

  it("knows the fields and types of a schema", () => {
    const schema = {
      type: "object",
      properties: {
        n: { type: "integer" },
        "a-b": { type: "string" },
        list: { type: "array", items: { type: "object", properties: { x: { type: "string" } } } },
        open: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        map: { type: "object", additionalProperties: { type: "integer" } },
      },
    };
    const check = (rule: string) => engine.check(rule, "value", schema, false);
    expect(check("self.n > 1 && self.a__dash__b == 'x'")).toEqual({ type: "bool", usesOldSelf: false, rounds: 0 });
    expect(check("self.n").type).toBe("int");
    expect(check("self.open.any.thing == 1 && self.map.all(k, self.map[k] > 0)").type).toBe("bool");
    expect(check("self.list.all(i, i.x == 'a') && self.n >= oldSelf.n")).toMatchObject({
      type: "bool",
      usesOldSelf: true,
    });
    expect(() => check("self.m > 1")).toThrow("undefined field 'm'");
  });

  it("answers has() behind an index as CEL does", () => {
    const rule = "has(self.matches[0].path)";
    const matches = (item: ReadonlyMap<string, unknown>) => new Map([["matches", [item]]]);
    expect(run(rule, matches(new Map([["path", null]])))).toBe(true);
    expect(run(rule, matches(new Map()))).toBe(false);
  });

  it("ends a pattern that backtracks without end", () => {
    const rule = "self.matches('^(a+)+$')";
    const started = performance.now();
    expect(() => run(rule, `${"a".repeat(70_000)}!`)).toThrow("too long");
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it("gives optionalOldSelf an empty optional on create", () => {
    const program = engine.compile("!oldSelf.hasValue() || oldSelf.value() < self", "optional");
    expect(program.run(1n, undefined)).toBe(true);
    expect(program.run(1n, 2n)).toBe(false);
  });

  it("knows named formats and format()", () => {
    expect(run("!format.dns1123Label().validate(self).hasValue()", "a-b")).toBe(true);
    expect(run("!format.dns1123Label().validate(self).hasValue()", "A_b")).toBe(false);
    expect(run("'%s has %d%%'.format([self, 5])", "x")).toBe("x has 5%");
  });
});

describe("Quantity", () => {
  it("reads every suffix exactly and refuses the rest", () => {
    const nanos = (text: string) => Quantity.parse(text)?.nanos;
    expect(nanos("1")).toBe(1_000_000_000n);
    expect(nanos("100m")).toBe(100_000_000n);
    expect(nanos("1.5Gi")).toBe(1_610_612_736n * 1_000_000_000n);
    expect(nanos("-2k")).toBe(-2_000_000_000_000n);
    expect(nanos("1e3")).toBe(nanos("1k"));
    expect(nanos("0.1")).toBe(100_000_000n);
    for (const bad of ["", "x", "1Zi", "1 Gi", ".", "--1"]) expect(Quantity.parse(bad)).toBeUndefined();
  });
});
