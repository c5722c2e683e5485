import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../base/digest.ts";
import { encodeIndex } from "./encode-index.ts";
import { type IndexDocument, type IndexItem, itemKey } from "./index-document.ts";
import { RANGES, RANGE_DIGEST_BYTES, RangeDigests, differingRanges } from "./range-digest.ts";
import { parseIndex } from "./parse-index.ts";
import type { WholeIndex } from "./rebuild-index.ts";
import { MAX_REPLACED_RANGES, applyRanges, rangesOf } from "./replace-ranges.ts";

const ROOT = new Uint8Array();

const items: fc.Arbitrary<IndexItem[]> = fc
  .uniqueArray(fc.record({ name: fc.nat(400), version: fc.integer({ min: 1, max: 3 }), tombstone: fc.boolean() }), {
    maxLength: 120,
    selector: ({ name }) => name,
  })
  .map((entries) =>
    entries.map(({ name, version, tombstone }) => {
      const plain = { kind: "PackInstalled", name: `item-${name}`, version } as const;
      return tombstone
        ? { ...plain, digest: "", size: 0, deleted: true }
        : { ...plain, digest: digestOf(`${name}/${version}`), size: 9 };
    }),
  );

describe("range digests", () => {
  it("lead to every difference by two steps, and the replaced ranges rebuild exactly the canonical body", () => {
    fc.assert(
      fc.property(items, items, (before, after) => {
        const [from, to] = [documentOf(4, before), documentOf(5, after)];
        const [theirs, ours] = [new RangeDigests(from), new RangeDigests(to)];
        const paths = differingRanges(ours.digests(ROOT), theirs.digests(ROOT)).flatMap((range) => {
          const path = Uint8Array.of(range);
          return differingRanges(ours.digests(path), theirs.digests(path)).map((deeper) =>
            Uint8Array.of(range, deeper),
          );
        });
        const base = whole(from);
        const parts = rangesOf(to, ours, paths.slice(0, MAX_REPLACED_RANGES));
        const rebuilt = applyRanges(base, new RangeDigests(base.document), parts);
        expect(Buffer.from(rebuilt?.body ?? [])).toEqual(encodeIndex(to));
        expect(rebuilt?.document).toEqual(whole(to).document);
        const said = new Set(paths.flatMap((path) => ours.items(path).map(itemKey)));
        const same = new Set(from.items.map((item) => JSON.stringify(item)));
        for (const item of to.items) expect(said.has(itemKey(item)) || same.has(JSON.stringify(item))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it("depend on version and digest, on no order, and are zero where nothing is", () => {
    const one = documentOf(1, [item("a", 1), item("b", 1)]);
    const digests = new RangeDigests(one).digests(ROOT);
    expect(digests).toHaveLength(RANGES * RANGE_DIGEST_BYTES);
    expect(new RangeDigests({ ...one, items: [...one.items].reverse() }).digests(ROOT)).toEqual(digests);
    expect(differingRanges(digests, new Uint8Array(digests.length))).toHaveLength(2);
    const changed = new RangeDigests(documentOf(2, [item("a", 2), item("b", 1)]));
    expect(differingRanges(digests, changed.digests(ROOT))).toHaveLength(1);
  });

  it("are refused as a description of an index when they are too many, too deep or malformed", () => {
    const base = whole(documentOf(1, [item("a", 1)]));
    const ours = new RangeDigests(base.document);
    const good = rangesOf(base.document, ours, [ROOT]);
    expect(Buffer.from(applyRanges(base, ours, good)?.body ?? [])).toEqual(base.body);
    const tooMany = Array.from({ length: MAX_REPLACED_RANGES + 1 }, () => ROOT);
    expect(applyRanges(base, ours, { ...good, paths: tooMany })).toBeUndefined();
    expect(applyRanges(base, ours, { ...good, paths: [Uint8Array.of(1, 2, 3)] })).toBeUndefined();
    expect(applyRanges(base, ours, { ...good, items: [Buffer.from("{}")] })).toBeUndefined();
    expect(applyRanges(base, ours, { ...good, header: Buffer.from("{}") })).toBeUndefined();
  });
});

function item(name: string, version: number): IndexItem {
  return { kind: "PackInstalled", name, version, digest: digestOf(`${name}/${version}`), size: 3 };
}

function whole(document: IndexDocument): WholeIndex {
  const body = encodeIndex(document);
  const parsed = parseIndex(body);
  if (!parsed.ok) throw new Error(`${parsed.field}: ${parsed.expected}`);
  return { document: parsed.document, body };
}

function documentOf(sequence: number, entries: readonly IndexItem[]): IndexDocument {
  return {
    _type: "FederationIndex/v1",
    cluster: "tenant-1",
    epoch: 1,
    sequence,
    issuedAt: "2026-01-01T00:00:00.000Z",
    expiresAt: "2026-01-02T00:00:00.000Z",
    keyId: "k",
    items: entries,
    revocations: [],
  };
}
