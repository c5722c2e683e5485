import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonLines } from "./json-lines.ts";

async function* chunks(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield part;
}

async function read(parts: readonly (string | Uint8Array)[], max = 1000): Promise<unknown[]> {
  const bytes = parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part));
  const values: unknown[] = [];
  for await (const value of jsonLines(chunks(bytes), max)) values.push(value);
  return values;
}

describe("jsonLines", () => {
  it("reads values however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue()), fc.array(fc.nat(200)), async (values, cuts) => {
        const whole = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
        const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, whole.length)), whole.length])].sort(
          (a, b) => a - b,
        );
        const parts = at.slice(1).map((end, index) => whole.subarray(at[index], end));
        expect(await read(parts, 100_000)).toEqual(values.map((value) => JSON.parse(JSON.stringify(value))));
      }),
      { numRuns: 100 },
    );
  });

  it("skips empty lines", async () => {
    expect(await read(["\n1\n\n", "2\n"])).toEqual([1, 2]);
  });

  it("refuses lines that are too long, no JSON, or cut off", async () => {
    await expect(read(["x".repeat(11)], 10)).rejects.toThrow("longer than 10 bytes");
    await expect(read(['"', "x".repeat(12), '"\n'], 10)).rejects.toThrow("longer than 10 bytes");
    await expect(read(["{oops}\n"])).rejects.toThrow("not JSON: {oops}");
    await expect(read(['1\n{"a"'])).rejects.toThrow("ended within a line of 4 bytes");
  });
});
