import { describe, expect, it } from "vitest";
import { digestOf } from "../../base/digest.ts";
import { encodeIndex } from "../../federation/index/encode-index.ts";
import type { IndexDocument, IndexItem } from "../../federation/index/index-document.ts";
import type { DesiredItem } from "./desired-items.ts";
import { INDEX_RENEWAL_MS, type IndexInputs, type NextIndex, TOMBSTONE_MIN_MS, nextIndex } from "./next-index.ts";

const T0 = Date.UTC(2026, 0, 1);

function pack(name: string, content: string, order = 1): DesiredItem {
  return { kind: "PackInstalled", name, digest: digestOf(content), size: content.length, order, secret: `s-${name}` };
}

function tombstone(name: string, order: number): DesiredItem {
  return { ...pack(name, `tombstone ${order}`, order), deleted: true, secret: `t-${name}` };
}

const NOTHING: IndexInputs = {
  cluster: "edge",
  previous: undefined,
  position: { epoch: 100, sequence: 0, tombstones: {} },
  desired: [],
  revocations: [],
  acknowledged: () => false,
  keyId: "k",
  nowMs: T0,
};

function signed(next: NextIndex): Extract<NextIndex, { action: "sign" }> {
  if (next.action !== "sign") throw new Error("expected a new index");
  encodeIndex(next.document); // every index the builder makes must pass the format's own rules
  return next;
}

/** Runs one step and hands back the inputs of the next one. */
function step(inputs: IndexInputs): { document: IndexDocument; next: IndexInputs } {
  const { document, position } = signed(nextIndex(inputs));
  return { document, next: { ...inputs, previous: document, position } };
}

describe("nextIndex", () => {
  it("signs an empty index first, then keeps it until half its validity", () => {
    const { document, next } = step(NOTHING);
    expect(document).toMatchObject({ epoch: 100, sequence: 1, items: [], expiresAt: "2026-01-02T00:00:00.000Z" });
    expect(nextIndex({ ...next, nowMs: T0 + 1000 })).toEqual({ action: "keep", renewInMs: INDEX_RENEWAL_MS - 1000 });
    const renewed = signed(nextIndex({ ...next, nowMs: T0 + INDEX_RENEWAL_MS })).document;
    expect(renewed).toMatchObject({ sequence: 2, issuedAt: "2026-01-01T12:00:00.000Z" });
  });

  it("raises the version of exactly the items whose digest changed", () => {
    const first = step({ ...NOTHING, desired: [pack("b", "1"), pack("a", "1")] });
    expect(first.document.items.map(({ name, version }) => [name, version])).toEqual([
      ["a", 1],
      ["b", 1],
    ]);
    const second = step({ ...first.next, desired: [pack("b", "2", 2), pack("a", "1")] });
    expect(second.document.items.map(({ name, version }) => [name, version])).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
  });

  it("never removes what is merely absent", () => {
    const first = step({ ...NOTHING, desired: [pack("a", "1")] });
    expect(nextIndex({ ...first.next, desired: [] }).action).toBe("keep");
  });

  it("replaces a pack by its tombstone and keeps that until acknowledged and old enough", () => {
    const live = step({ ...NOTHING, desired: [pack("a", "1", 1)] });
    const both = [pack("a", "1", 1), tombstone("a", 2)];
    const dead = step({ ...live.next, desired: both });
    expect(dead.document.items).toMatchObject([{ name: "a", version: 2, deleted: true }]);
    const later = { ...dead.next, desired: [tombstone("a", 2)], nowMs: T0 + TOMBSTONE_MIN_MS };
    const waiting = signed(nextIndex(later)).document; // a renewal, the tombstone still stands
    expect(waiting.items).toHaveLength(1);
    const acknowledged = ({ name, version, digest }: IndexItem): boolean =>
      name === "a" && version === 2 && digest === tombstone("a", 2).digest;
    expect(nextIndex({ ...dead.next, desired: both, acknowledged, nowMs: T0 + 1000 }).action).toBe("keep");
    const over = signed(nextIndex({ ...later, acknowledged }));
    expect(over.document.items).toEqual([]);
    expect(over.retired).toEqual(["t-a"]);
    expect(over.position.tombstones).toEqual({});
    // Nobody acknowledges: an agent that comes back after months would refuse an index without it.
    expect(signed(nextIndex({ ...later, nowMs: T0 + 400 * TOMBSTONE_MIN_MS })).document.items).toHaveLength(1);
  });

  it("prefers a pack installed again over the tombstone of its predecessor", () => {
    const { document } = step({ ...NOTHING, desired: [tombstone("a", 2), pack("a", "new", 3)] });
    expect(document.items).toEqual([
      { kind: "PackInstalled", name: "a", version: 1, digest: digestOf("new"), size: 3 },
    ]);
  });

  it("ends a correction with a tombstone that has no body", () => {
    const correction: DesiredItem = { ...pack("a", "fix"), kind: "Correction" };
    const first = step({ ...NOTHING, desired: [correction] });
    const { document } = step({ ...first.next, desired: [] });
    expect(document.items).toEqual([{ kind: "Correction", name: "a", version: 2, digest: "", size: 0, deleted: true }]);
  });

  it("goes on from the ledger when the index itself is lost, and never reuses a number", () => {
    const { document } = step({
      ...NOTHING,
      position: { epoch: 100, sequence: 41, tombstones: {} },
      desired: [pack("a", "1")],
    });
    expect(document).toMatchObject({ epoch: 100, sequence: 42, items: [{ version: 42 }] });
  });

  it("signs again for another key, and after the wall clock jumped back", () => {
    const first = step(NOTHING);
    expect(signed(nextIndex({ ...first.next, keyId: "other" })).document).toMatchObject({
      sequence: 2,
      keyId: "other",
    });
    expect(nextIndex({ ...first.next, nowMs: T0 - 3_600_000 }).action).toBe("sign");
  });

  it("keeps revocation floors that are no longer asked for and only raises them", () => {
    const floor = (value: number) => ({ target: "PackInstalled", name: "a", floor: value, serial: value }) as const;
    const first = step({ ...NOTHING, revocations: [floor(5)] });
    expect(nextIndex({ ...first.next, revocations: [] }).action).toBe("keep");
    expect(nextIndex({ ...first.next, revocations: [floor(4)] }).action).toBe("keep");
    expect(signed(nextIndex({ ...first.next, revocations: [floor(6)] })).document.revocations).toEqual([floor(6)]);
  });
});
