import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, parseCanonicalJson } from "./canonical-json.ts";
import type { JsonValue } from "./json.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const double = (hex: string): number => Buffer.from(hex, "hex").readDoubleBE(0);

describe("RFC 8785", () => {
  it("gives the bytes of §3.2.4 for the example of §3.2.2", () => {
    const value: unknown = JSON.parse(
      '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],' +
        '"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
    );
    const expected =
      "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e" +
      "756d62657273223a5b3333333333333333332e333333333333332c31652b33302c" +
      "342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac245c75" +
      "303030665c6e4127425c225c5c5c5c5c222f227d";
    expect(Buffer.from(canonicalJson(value as JsonValue)).toString("hex")).toBe(expected);
  });

  it("sorts member names by UTF-16 code units (§3.2.3)", () => {
    const value = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    const names = canonicalJson(value).match(/:"[^"]+"/g);
    expect(names).toEqual([
      ':"Carriage Return"',
      ':"One"',
      ':"Control"',
      ':"Latin Small Letter O With Diaeresis"',
      ':"Euro Sign"',
      ':"Emoji: Grinning Face"',
      ':"Hebrew Letter Dalet With Dagesh"',
    ]);
  });

  it.each([
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["ffefffffffffffff", "-1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef4f", "999999999999999900000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555554", "333333333.33333325"],
    ["41b3de4355555555", "333333333.3333333"],
    ["41b3de4355555556", "333333333.3333334"],
    ["41b3de4355555557", "333333333.33333343"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ])("writes the number of appendix B with bits %s as %s", (hex, expected) => {
    expect(canonicalJson(double(hex))).toBe(expected);
  });

  it.each([
    [Number.NaN, "numbers are finite, found NaN"],
    [Number.POSITIVE_INFINITY, "numbers are finite, found Infinity"],
    ["\ud800", "strings hold no lone surrogates"],
    [{ "\udc00": 1 }, "member names hold no lone surrogates"],
  ])("refuses %j", (value, message) => {
    expect(() => canonicalJson(value)).toThrow(message);
  });

  it("refuses nesting without end, and leaves out members that are undefined", () => {
    let deep: JsonValue = 1;
    for (let i = 0; i < 102; i++) deep = [deep];
    expect(() => canonicalJson(deep)).toThrow("nesting is at most 100 levels");
    expect(canonicalJson({ b: undefined, a: 1 })).toBe('{"a":1}');
  });

  it("is stable: parsing and writing again changes nothing, whatever the order of members", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const once = canonicalJson(value as JsonValue);
        expect(canonicalJson(parseCanonicalJson(bytes(once)))).toBe(once);
        expect(JSON.parse(once)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

function isAccepted(text: string): boolean {
  try {
    parseCanonicalJson(bytes(text));
    return true;
  } catch {
    return false; // the tests of refusals look at the reason
  }
}

describe("parseCanonicalJson", () => {
  it.each([
    ['{"a":1,"a":1}', "duplicate names"],
    ['{"b":1,"a":1}', "unsorted names"],
    ['{"a": 1}', "whitespace"],
    ['{"a":1.0}', "another number form"],
    ['{"a":-0}', "negative zero"],
    ['"\\u0041"', "a needless escape"],
    ['{"a":1}\n', "a trailing newline"],
    ["\ufeff{}", "a byte order mark"],
    ['{"a":9007199254740993}', "a number that does not survive a double"],
  ])("refuses %s (%s)", (text) => {
    expect(() => parseCanonicalJson(bytes(text))).toThrow(/canonical JSON: /);
  });

  it("refuses invalid UTF-8 and text that is no JSON", () => {
    expect(() => parseCanonicalJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow("the bytes are one UTF-8 JSON value");
    expect(() => parseCanonicalJson(bytes("{"))).toThrow("the bytes are one UTF-8 JSON value");
  });

  it.each(['{"1":0,"10":0,"2":0,"a":[{"b":1}]}', '{"a":"\\u001f\\\\ud"}', `${"[".repeat(100)}1${"]".repeat(100)}`])(
    "reads %s, which a plain encoder would order or nest otherwise",
    (text) => {
      expect(canonicalJson(parseCanonicalJson(bytes(text)))).toBe(text);
    },
  );

  it.each([
    ['{"1":0,"2":0,"10":0}', "names in the order of numbers"],
    ['{"a":"\\ud800"}', "a lone surrogate"],
    [`${"[".repeat(102)}1${"]".repeat(102)}`, "nesting without end"],
    [`${"[".repeat(200_000)}1${"]".repeat(200_000)}`, "nesting that no stack holds"],
  ])("refuses %.40s (%s)", (text) => {
    expect(() => parseCanonicalJson(bytes(text))).toThrow(/canonical JSON: /);
  });

  it("accepts exactly what the encoder writes", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.nat(3), (text, spaces) => {
        const mangled = spaces === 0 ? text : JSON.stringify(JSON.parse(text), undefined, spaces - 1);
        expect(isAccepted(mangled)).toBe(canonicalJson(JSON.parse(mangled) as JsonValue) === mangled);
      }),
    );
  });

  it("keeps a member named __proto__ as data", () => {
    const text = '{"__proto__":{"admin":true},"a":1}';
    expect(canonicalJson(parseCanonicalJson(bytes(text)))).toBe(text);
  });
});
