import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readListItems } from "./list-items.ts";

async function* chunks(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield part;
}

async function read(
  parts: readonly (string | Uint8Array)[],
  max = 1000,
): Promise<{ items: unknown[]; metadata: unknown }> {
  const bytes = parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part));
  const items: unknown[] = [];
  const { metadata } = await readListItems(chunks(bytes), (some) => items.push(...some), max);
  return { items, metadata };
}

describe("readListItems", () => {
  it("reads lists however they are cut, and wherever their items stand", async () => {
    const member = fc.tuple(
      fc.string().filter((name) => name !== "items" && name !== "metadata" && name !== "__proto__"),
      fc.jsonValue(),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.array(member),
        fc.boolean(),
        fc.constantFrom(undefined, 2),
        fc.array(fc.nat(2000)),
        async (items, metadata, others, last, indent, cuts) => {
          const own = last ? { metadata, items } : { items, metadata };
          const whole = Buffer.from(JSON.stringify({ ...Object.fromEntries(others), ...own }, null, indent));
          const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, whole.length)), whole.length])].sort(
            (a, b) => a - b,
          );
          const parts = at.slice(1).map((end, index) => whole.subarray(at[index], end));
          const plain = JSON.parse(JSON.stringify({ items, metadata })) as unknown;
          expect(await read(parts, 100_000)).toEqual(plain);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("takes other arrays, and items of inner objects, for what they are", async () => {
    const list = { errors: [["items"], {}], metadata: { items: [1, 2], a: { items: [3] } }, items: [{ items: [4] }] };
    expect(await read([JSON.stringify(list)])).toEqual({ items: [{ items: [4] }], metadata: list.metadata });
    expect(await read(['{"metadata":{},"items":null}'])).toEqual({ items: [], metadata: {} });
    expect(await read(['{"metadata":{}}'])).toEqual({ items: [], metadata: {} });
  });

  it("hands items on before the list has ended", async () => {
    const seen: unknown[] = [];
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{"items":[{"a":1},{"a":2},{"a"');
      expect(seen).toEqual([{ a: 1 }, { a: 2 }]);
      yield Buffer.from(':3}],"metadata":{}}');
    }
    await readListItems(slow(), (items) => seen.push(...items), 100);
    expect(seen).toHaveLength(3);
  });

  it("refuses what is too long, no JSON, no list, or cut off", async () => {
    await expect(read(['{"items":["', "x".repeat(11)], 10)).rejects.toThrow(
      "an item of the list is longer than 10 bytes",
    );
    await expect(read([`{"x":"${"y".repeat(1024 * 1024)}`])).rejects.toThrow("the list without its items is longer");
    await expect(read(['{"items":[{oops}],"metadata":{}}'])).rejects.toThrow("not JSON: [{oops}]");
    await expect(read(['{"items":[]}'])).rejects.toThrow("no list");
    await expect(read(["[]"])).rejects.toThrow("no list");
    await expect(read([""])).rejects.toThrow("not JSON");
    await expect(read(['{"items":[{"a":1}'])).rejects.toThrow("cut off");
    await expect(read(['{"items":[],"metadata":{}'])).rejects.toThrow("cut off");
  });
});
