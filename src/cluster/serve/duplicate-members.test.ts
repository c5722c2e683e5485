import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { duplicateMembers } from "./duplicate-members.ts";

describe("duplicateMembers", () => {
  it.each([
    ['{"a":1,"a":2}', ["a"]],
    ['{"data":{"a":"1","b":"2","a":"3"}}', ["data.a"]],
    ['{"l":[{"x":1},{"x":1,"y":{"z":0,"z":0}}]}', ["l[1].y.z"]],
    ['{"a":1,"\\u0061":2}', ["a"]],
    ['{"a\\"":1,"b":"{\\"c\\":1,\\"c\\":2}"}', []],
    ['{"a":"x","b":"a","c":["a","a"]}', []],
    ['{"a\\\\":1,"a":"\\\\"}', []],
    ["[]", []],
  ])("%s", (text, expected) => {
    expect(duplicateMembers(text)).toEqual(expected);
  });

  it("finds none in what JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.boolean(), (value, indented) => {
        expect(duplicateMembers(JSON.stringify(value, undefined, indented ? 2 : 0))).toEqual([]);
      }),
    );
  });
});
