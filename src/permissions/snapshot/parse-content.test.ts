import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { randomWorld } from "../../../test/oracle/permission-worlds.ts";
import { signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import type { JsonObject } from "../../base/json.ts";
import { SeededRandom, integerBetween } from "../../base/random.ts";
import { decodeEnvelope } from "../../trust/dsse.ts";
import { contentToJson, encodeContent } from "./content.ts";
import { loadContent } from "./load-content.ts";
import { parseContent } from "./parse-content.ts";
import { SnapshotRefused } from "./snapshot-failure.ts";
import { consistencyToken, parseConsistencyToken, snapshotVersion } from "./snapshot-version.ts";
import { verifyStatement } from "./verify-statement.ts";

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof SnapshotRefused) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "accepted";
}

describe("parseContent", () => {
  const random = new SeededRandom(11);
  const content = randomWorld(random);
  const json = contentToJson(content);
  const parse = (value: JsonObject): string => refusal(() => parseContent(Buffer.from(canonicalJson(value))));

  it("reads back what was encoded, for any world", () => {
    for (let i = 0; i < 200; i++) {
      const world = randomWorld(random);
      expect(parseContent(encodeContent(world).bytes)).toEqual(world);
    }
  });

  it("names the field that breaks the schema", () => {
    expect(parse({ ...json, extra: 1 })).toBe("INVALID_CONTENT: extra: unknown member");
    expect(parse({ ...json, freshnessWindowSeconds: 0 })).toBe(
      "INVALID_CONTENT: freshnessWindowSeconds: expected an integer from 1 to 315360000",
    );
    expect(parse({ ...json, schemaVersion: 9 })).toBe("UNSUPPORTED_SCHEMA: schemaVersion 9, this build reads 2");
    expect(parse({ ...json, ceilings: { fleet: `rs-${"0".repeat(32)}` } })).toMatch(
      /^INVALID_CONTENT: ceilings: unknown/,
    );
    const [set] = content.ruleSets;
    expect(parse({ ...json, ruleSets: [{ id: `rs-${"0".repeat(32)}`, rules: [] }] })).toBe(
      "INVALID_CONTENT: ruleSets[0].rules: expected at least one rule",
    );
    const forged = { id: set?.id ?? "", rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }] };
    expect(parse({ ...json, ruleSets: [forged], subjects: [] })).toBe(
      "INVALID_CONTENT: ruleSets[0].id: expected the id of its canonical rules",
    );
    const doubled = refusal(() => parseContent(Buffer.from(`{"a":1,"a":1}`)));
    expect(doubled).toMatch(/^INVALID_CONTENT: canonical JSON/);
  });

  it("survives any damage with a code, and never reads damaged bytes as something else", () => {
    const { bytes, contentHash } = encodeContent(content);
    const loaded: string[] = [];
    for (let i = 0; i < 3_000; i++) {
      const damaged = Buffer.from(bytes);
      for (let n = integerBetween(random, 1, 4); n > 0; n--)
        damaged[integerBetween(random, 0, damaged.length - 1)] = integerBetween(random, 0, 255);
      const cut = random.next() < 0.2 ? damaged.subarray(0, integerBetween(random, 0, damaged.length)) : damaged;
      // Damage inside a free string is well-formed content: parsing must end with a code or a value, and the hash refuses it.
      refusal(() => parseContent(cut));
      if (!cut.equals(bytes)) loaded.push(refusal(() => loadContent(cut, contentHash)).slice(0, 21));
    }
    expect([...new Set(loaded)]).toEqual(["CONTENT_HASH_MISMATCH"]);
  });
});

describe("statements", () => {
  it("survive any damage with a code", () => {
    const random = new SeededRandom(12);
    const key = testKey();
    const { envelope } = signedSnapshot(randomWorld(random), key, { sequence: 3, issuedAtMs: 0 });
    const checks = { cluster: "tenant-1", keys: key.ring, floor: { minimumSequence: 0 }, nowMs: 1_000 };
    const wronglyAccepted: unknown[] = [];
    for (let i = 0; i < 1_000; i++) {
      const damaged = Buffer.from(envelope);
      damaged[integerBetween(random, 0, damaged.length - 1)] = integerBetween(random, 32, 126);
      if (damaged.equals(envelope)) continue;
      const decoded = decodeEnvelope(damaged);
      if (decoded === undefined) continue;
      const verdict = refusal(() => verifyStatement(decoded, checks));
      // Base64 has several spellings of the same bytes; anything else must be refused.
      const same = isDeepStrictEqual(decodeEnvelope(envelope), decoded);
      if (verdict === "accepted" && !same) wronglyAccepted.push(decoded);
    }
    expect(wronglyAccepted).toEqual([]);
  });

  it("give versions and tokens that name their position", () => {
    const hash = `sha256:${"ab".repeat(32)}` as const;
    expect(snapshotVersion({ epoch: 7, sequence: 9 }, hash)).toBe("e7.s9.abababababab");
    const token = consistencyToken({ epoch: 7, sequence: 9 }, hash);
    expect(parseConsistencyToken(token)).toEqual({ epoch: 7, sequence: 9 });
    expect(parseConsistencyToken("anything")).toBeUndefined();
  });
});
