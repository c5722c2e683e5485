import { expect, it } from "vitest";
import { warningTexts } from "./warning-header.ts";

it("reads what a server warns about", () => {
  expect(warningTexts(['299 - "unknown field \\"spec.x\\""', '299 - "a", 299 kube "b\\\\c"', "nonsense"])).toEqual([
    'unknown field "spec.x"',
    "a",
    "b\\c",
  ]);
});
