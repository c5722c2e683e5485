import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../base/digest.ts";
import { applyDiff, diffIndexes } from "./diff-index.ts";
import { encodeIndex, encodeItem } from "./encode-index.ts";
import type { IndexDocument, IndexItem, ItemKind } from "./index-document.ts";
import { parseIndex } from "./parse-index.ts";
import { planIndex } from "./plan-index.ts";
import type { WholeIndex } from "./rebuild-index.ts";
import { inventoryDigest } from "./inventory-digest.ts";

const kind = fc.constantFrom<ItemKind>("PackInstalled", "PermissionSnapshot", "Correction", "Governance");
const digest = fc.integer({ min: 0, max: 50 }).map((n) => digestOf(`body ${n}`));
const item: fc.Arbitrary<IndexItem> = fc
  .record({
    kind,
    name: fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/),
    version: fc.integer({ min: 1, max: 9 }),
    digest,
    size: fc.integer({ min: 0, max: 1000 }),
    tombstone: fc.boolean(),
    refs: fc.option(fc.array(fc.record({ digest, size: fc.nat(1000) }), { maxLength: 3 }), { nil: undefined }),
  })
  .map(toItem);
const document: fc.Arbitrary<IndexDocument> = fc
  .record({
    epoch: fc.integer({ min: 1, max: 3 }),
    sequence: fc.integer({ min: 9, max: 99 }),
    items: fc.uniqueArray(item, { maxLength: 30, selector: (i) => `${i.kind}/${i.name}` }),
    floor: fc.nat(5),
  })
  .map(({ floor, epoch, sequence, items }) => ({
    _type: "FederationIndex/v1" as const,
    cluster: "tenant-1",
    issuedAt: "2026-01-01T00:00:00.000Z",
    expiresAt: "2026-01-02T00:00:00.000Z",
    keyId: "k",
    revocations: [{ target: "PackInstalled" as const, name: "web", floor, serial: floor }],
    epoch,
    sequence,
    items,
  }));

describe("diffIndexes and applyDiff", () => {
  it("rebuild exactly the canonical bytes of the newer index", () => {
    fc.assert(
      fc.property(document, document, (from, to) => {
        const base = whole(from);
        const parts = diffIndexes(base.document, "base", reparse(to));
        const rebuilt = applyDiff(base, parts);
        expect(Buffer.from(rebuilt?.body ?? [])).toEqual(encodeIndex(to));
        expect(rebuilt?.document).toEqual(reparse(to));
        const kept = new Set(base.document.items);
        const changed = new Set(parts.changed.map((bytes) => Buffer.from(bytes).toString()));
        for (const entry of rebuilt?.document.items ?? [])
          expect(kept.has(entry)).toBe(!changed.has(Buffer.from(encodeItem(entry)).toString()));
      }),
      { numRuns: 200 },
    );
  });

  it("carry nothing when nothing but the header changed", () => {
    fc.assert(
      fc.property(document, (from) => {
        const base = reparse(from);
        const parts = diffIndexes(base, "base", { ...base, sequence: base.sequence + 1 });
        expect(parts.changed).toHaveLength(0);
        expect(parts.dropped).toHaveLength(0);
      }),
      { numRuns: 50 },
    );
  });

  it("answer undefined instead of a body when the parts do not fit the base", () => {
    const base = whole(simple(5, []));
    const parts = diffIndexes(base.document, "base", reparse(simple(6, ["web"])));
    expect(applyDiff(base, { ...parts, dropped: ["PackInstalled/none"] })).toBeUndefined();
    expect(applyDiff(base, { ...parts, changed: [Buffer.from('{"kind":"PackInstalled"}')] })).toBeUndefined();
    expect(applyDiff(base, { ...parts, changed: [Buffer.from("not json")] })).toBeUndefined();
    expect(applyDiff(base, { ...parts, header: encodeIndex(simple(6, ["web"])) })).toBeUndefined();
    expect(
      applyDiff(base, { ...parts, changed: Array.from({ length: 20_001 }, () => new Uint8Array()) }),
    ).toBeUndefined();
    const [web = new Uint8Array()] = parts.changed;
    expect(applyDiff(base, { ...parts, changed: [web, web] })).toBeUndefined();
    const ahead = Buffer.from(Buffer.from(web).toString().replace('"version":1', '"version":7'));
    expect(applyDiff(base, { ...parts, changed: [ahead] })).toBeUndefined();
    const two = whole(simple(5, ["db", "web"]));
    const other = diffIndexes(two.document, "base", reparse(simple(6, ["web"])));
    expect(applyDiff({ ...two, body: encodeIndex(simple(5, [])) }, other)).toBeUndefined();
  });

  it("are misled by nothing that a name holds", () => {
    const odd = ['"items":[', '],"keyId":', "a", '{"digest":"', "é", "\u{1f600}"];
    for (const from of [odd, odd.slice(1), odd.slice(0, 3), []])
      for (const to of [odd, odd.slice(2), odd.slice(0, 4), []]) {
        const base = whole(simple(5, from));
        const target = simple(6, to);
        const rebuilt = applyDiff(base, diffIndexes(base.document, "base", reparse(target)));
        expect(Buffer.from(rebuilt?.body ?? [])).toEqual(encodeIndex(target));
      }
  });
});

describe("encodeIndex", () => {
  it("gives equal bytes for equal content in any order", () => {
    fc.assert(
      fc.property(document, (one) => {
        const shuffled = { ...one, items: [...one.items].reverse() };
        expect(encodeIndex(shuffled)).toEqual(encodeIndex(one));
      }),
      { numRuns: 50 },
    );
  });

  it("refuses a duplicate item and a version above the sequence, by name", () => {
    expect(() => encodeIndex(simple(5, ["web", "web"]))).toThrow(
      "federation index of tenant-1: items[1]: items sorted by (kind, name), each once",
    );
    const ahead = simple(5, ["web"]);
    expect(() =>
      encodeIndex({ ...ahead, items: ahead.items.map((entry) => Object.assign({}, entry, { version: 6 })) }),
    ).toThrow("federation index of tenant-1: items[0].version: at most the sequence 5");
  });
});

describe("parseIndex", () => {
  it("reads back what encodeIndex wrote and refuses every non-canonical or unknown member", () => {
    const body = encodeIndex(simple(5, ["web"]));
    const parsed = parseIndex(body);
    expect(parsed.ok && encodeIndex(parsed.document)).toEqual(body);
    const text = Buffer.from(body).toString();
    expect(parseIndex(Buffer.from(` ${text}`)).ok).toBe(false);
    expect(parseIndex(Buffer.from(text.replace('"epoch":1', '"epoch":1,"extra":1'))).ok).toBe(false);
    expect(parseIndex(Buffer.from(text.replace('"epoch":1', '"epoch":-1'))).ok).toBe(false);
    expect(parseIndex(new Uint8Array(9 * 1024 * 1024)).ok).toBe(false);
  });

  it("keeps a kind that this build does not know: its item is nacked, not the index", () => {
    const text = Buffer.from(encodeIndex(simple(5, ["web"]))).toString();
    expect(parseIndex(Buffer.from(text.replace('"PackInstalled"', '"Later"'))).ok).toBe(true);
  });
});

describe("planIndex", () => {
  it("lists exactly the items that a diff carries", () => {
    fc.assert(
      fc.property(document, document, (one, other) => {
        const from = reparse(one);
        const to = reparse({ ...other, epoch: one.epoch });
        const plan = planIndex(from, to);
        const parts = diffIndexes(from, "base", to);
        expect(plan.changed.length + plan.tombstones.length).toBe(parts.changed.length);
        expect(plan.dropped).toEqual(parts.dropped);
        expect(plan.tombstones.every((entry) => entry.deleted === true)).toBe(true);
        expect(plan.renumbered).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it("tells what only gets another number in a new epoch from what changes, goes or comes", () => {
    const before = simple(57, ["kept", "changed", "dead"]);
    const dead = (item: IndexItem): IndexItem => (item.name === "dead" ? { ...item, deleted: true } : item);
    const from = { ...before, items: before.items.map(dead) };
    const after = simple(1, ["kept", "changed", "dead", "new"]);
    const grown = (item: IndexItem): IndexItem => (item.name === "changed" ? { ...item, size: item.size + 1 } : item);
    const to = { ...after, epoch: from.epoch + 1, items: after.items.map(dead).map(grown) };
    const plan = planIndex(from, to);
    expect(plan.renumbered.map(({ name, version }) => [name, version])).toEqual([
      ["kept", 1],
      ["dead", 1],
    ]);
    expect(plan.changed.map(({ name }) => name)).toEqual(["changed", "new"]);
    expect([plan.tombstones, plan.dropped]).toEqual([[], []]);
  });
});

describe("inventoryDigest", () => {
  it("depends on every field and on no order", () => {
    const one = { kind: "PackInstalled", name: "a", version: 1, digest: "d", level: 2, reason: "" };
    const two = { ...one, name: "b" };
    const digest = inventoryDigest([one, two]);
    expect(inventoryDigest([two, one])).toBe(digest);
    for (const changed of [{ version: 2 }, { digest: "e" }, { level: 3 }, { reason: "X" }, { name: "c" }])
      expect(inventoryDigest([{ ...one, ...changed }, two])).not.toBe(digest);
  });
});

interface ItemParts extends Pick<IndexItem, "kind" | "name" | "version" | "digest" | "size"> {
  readonly tombstone: boolean;
  readonly refs: IndexItem["refs"] | undefined;
}

function toItem({ tombstone, refs, ...plain }: ItemParts): IndexItem {
  const deleted: IndexItem = tombstone ? { ...plain, deleted: true } : plain;
  return refs === undefined ? deleted : { ...deleted, refs };
}

function reparse(one: IndexDocument): IndexDocument {
  const parsed = parseIndex(encodeIndex(one));
  if (!parsed.ok) throw new Error(`${parsed.field}: ${parsed.expected}`);
  return parsed.document;
}

function whole(one: IndexDocument): WholeIndex {
  return { document: reparse(one), body: encodeIndex(one) };
}

function simple(sequence: number, names: readonly string[]): IndexDocument {
  return {
    _type: "FederationIndex/v1",
    cluster: "tenant-1",
    epoch: 1,
    sequence,
    issuedAt: "2026-01-01T00:00:00.000Z",
    expiresAt: "2026-01-02T00:00:00.000Z",
    keyId: "k",
    items: names.map((name) => ({ kind: "PackInstalled", name, version: 1, digest: digestOf(name), size: 3 })),
    revocations: [],
  };
}
