import { describe, expect, it } from "vitest";
import { WORLD_NOW_MS, randomWorld } from "../../../test/oracle/permission-worlds.ts";
import { signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import { may, offer, oneGrant, snapshotBench } from "../../../test/support/snapshot-bench.ts";
import { SeededRandom } from "../../base/random.ts";
import { KeyRing } from "../../trust/keyring/key-ring.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { digestOf } from "../../base/digest.ts";
import { contentToJson } from "../snapshot/content.ts";
import { MAX_CONTENT_BYTES } from "../snapshot/limits.ts";

const key = testKey();
const now = WORLD_NOW_MS;
const EPOCH = 1_700_000_000;

/** The attack list of The Update Framework (specification §1.5.2), against permission snapshots. */
describe("attacks on snapshots are refused, or recovered from, by name", () => {
  it("arbitrary content: another key, no signature, an altered body", async () => {
    const store = await (await snapshotBench(key)).open();
    const good = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now });
    expect(await offer(store, signedSnapshot(oneGrant("*"), testKey(), { sequence: 1, issuedAtMs: now }))).toBe(
      "UNKNOWN_KEY",
    );
    const envelope = JSON.parse(Buffer.from(good.envelope).toString()) as { payload: string; signatures: unknown[] };
    const encoded = (changed: object) => ({
      ...good,
      envelope: Buffer.from(JSON.stringify({ ...envelope, ...changed })),
    });
    expect(await offer(store, encoded({ signatures: [] }))).toBe("UNSIGNED");
    const body = Buffer.from(envelope.payload, "base64").toString();
    const later = Buffer.from(body.replace('"sequence":1', '"sequence":9').replace(".s1.", ".s9.")).toString("base64");
    expect(await offer(store, encoded({ payload: later }))).toBe("SIGNATURE_INVALID");
    expect(store.current).toBeUndefined();
  });

  it("rollback: an older version, also after a restart", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    const first = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now });
    await offer(store, first);
    await offer(store, signedSnapshot(oneGrant("list"), key, { sequence: 2, issuedAtMs: now }));
    expect(await offer(store, first)).toBe("ROLLBACK_REJECTED");
    store = await b.open();
    expect(await offer(store, first)).toBe("ROLLBACK_REJECTED");
    expect([may(store, "get"), may(store, "list"), store.state().degraded]).toEqual([false, true, true]);
    const oldEpoch = { epoch: EPOCH - 1, sequence: 99, issuedAtMs: now };
    expect(await offer(store, signedSnapshot(oneGrant("get"), key, oldEpoch))).toBe("ROLLBACK_REJECTED");
  });

  it("freeze: nothing new gets through, or the same again and again: stale, then expired", async () => {
    const b = await snapshotBench(key);
    const store = await b.open();
    const only = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now });
    await offer(store, only);
    await b.clock.advance(300_001);
    expect(await offer(store, only)).toBe("unchanged");
    expect(store.state().freshness).toBe("STALE");
    await b.clock.advance(86_400_000);
    expect(await offer(store, only)).toBe("EXPIRED");
    expect(store.state().freshness).toBe("EXPIRED");
  });

  it("mix-and-match: the statement of one version with the content of another", async () => {
    const store = await (await snapshotBench(key)).open();
    const old = signedSnapshot(oneGrant("*"), key, { sequence: 1, issuedAtMs: now });
    const current = signedSnapshot(oneGrant("get"), key, { sequence: 2, issuedAtMs: now });
    expect(await offer(store, { ...current, content: old.content })).toBe("CONTENT_HASH_MISMATCH");
    expect(store.current).toBeUndefined();
    expect(await offer(store, current)).toBe("activation");
  });

  it("equivocation: two contents at one position", async () => {
    const store = await (await snapshotBench(key)).open();
    await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }));
    expect(await offer(store, signedSnapshot(oneGrant("*"), key, { sequence: 1, issuedAtMs: now }))).toBe(
      "EQUIVOCATION",
    );
    expect(may(store, "delete")).toBe(false);
  });

  it("wrong cluster: the statement of another tenant, and another tenant's content under our name", async () => {
    const store = await (await snapshotBench(key)).open();
    const other = { ...oneGrant("*"), targetCluster: "tenant-2" };
    expect(await offer(store, signedSnapshot(other, key, { sequence: 1, issuedAtMs: now }))).toBe("WRONG_CLUSTER");
    const renamed = signedSnapshot(other, key, { cluster: "tenant-1", sequence: 1, issuedAtMs: now });
    expect(await offer(store, renamed)).toBe("INVALID_CONTENT");
    expect(store.current).toBeUndefined();
  });

  it("fast-forward: a stolen key exhausts the counters; a new epoch of the hub under a new key recovers", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    const ring = new KeyRing([key.publicKey]);
    store = await b.open(ring);
    // The epoch is a time: it cannot be pushed out of the reach of every later epoch.
    const far = { epoch: Number.MAX_SAFE_INTEGER, sequence: 1, issuedAtMs: now };
    expect(await offer(store, signedSnapshot(oneGrant("*"), key, far))).toBe("CLOCK_SKEW");
    const stolen = { epoch: Math.floor(now / 1000) + 299, sequence: Number.MAX_SAFE_INTEGER, issuedAtMs: now };
    expect(await offer(store, signedSnapshot(oneGrant("*"), key, stolen))).toBe("activation");
    const next = testKey();
    ring.replace([next.publicKey]);
    await store.reverify();
    expect(store.state()).toMatchObject({ freshness: "NOT_READY", lastRejection: { code: "UNKNOWN_KEY" } });
    expect(may(store, "delete")).toBe(false);
    const sameEpoch = { epoch: stolen.epoch, sequence: 5, issuedAtMs: now };
    expect(await offer(store, signedSnapshot(oneGrant("get"), next, sameEpoch))).toBe("ROLLBACK_REJECTED");
    await b.clock.advance(301_000);
    const recovered = { epoch: Math.floor(b.clock.now() / 1000), sequence: 1, issuedAtMs: b.clock.now() };
    expect(await offer(store, signedSnapshot(oneGrant("get"), next, recovered))).toBe("activation");
    expect([may(store, "get"), store.state().freshness, store.state().degraded]).toEqual([true, "FRESH", false]);
  });

  it("endless data: more content than may be, and a statement without end", async () => {
    const store = await (await snapshotBench(key)).open();
    const good = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now });
    expect(await offer(store, { ...good, content: new Uint8Array(MAX_CONTENT_BYTES + 1) })).toBe("TOO_LARGE");
    expect(await offer(store, { ...good, envelope: Buffer.alloc(1024 * 1024, 0x20) })).toBe("MALFORMED");
    expect(await offer(store, good)).toBe("activation");
  });

  it("size bombs in few bytes: names that expand, nesting without end", async () => {
    const store = await (await snapshotBench(key)).open();
    const wide = oneGrant("get");
    const many = Array.from({ length: 400 }, (_, i) => `r${i}`);
    const rules = [{ verbs: ["get"], apiGroups: many, resources: many, resourceNames: [], nonResourceURLs: [] }];
    const bomb = { ...wide, ruleSets: [{ id: wide.ruleSets[0]?.id ?? "", rules }] };
    expect(await offer(store, signedSnapshot(bomb, key, { sequence: 1, issuedAtMs: now }))).toMatch(
      /^(INVALID_CONTENT|TOO_LARGE)$/,
    );
    const nested = Buffer.from("[".repeat(200_000));
    const statement = signedSnapshot(wide, key, { contentHash: digestOf(nested), sequence: 2, issuedAtMs: now });
    expect(await offer(store, { ...statement, content: nested })).toBe("INVALID_CONTENT");
  });

  it("duplicate and cyclic ids: no member twice, no subject twice, no rule set that is not there", async () => {
    const store = await (await snapshotBench(key)).open();
    let sequence = 0;
    const offerText = async (text: string): Promise<string> => {
      const content = Buffer.from(text);
      sequence += 1;
      const place = { contentHash: digestOf(content), sequence, issuedAtMs: now };
      return offer(store, { ...signedSnapshot(oneGrant("get"), key, place), content });
    };
    const json = contentToJson(oneGrant("get"));
    const text = canonicalJson(json);
    const [subject] = oneGrant("get").subjects;
    if (subject === undefined) throw new Error("there is a subject");
    const twice = contentToJson({ ...oneGrant("get"), subjects: [subject, subject] });
    const sets = oneGrant("get").ruleSets;
    expect(await offerText(text.replace('"schemaVersion":2', '"schemaVersion":2,"schemaVersion":2'))).toBe(
      "INVALID_CONTENT",
    );
    expect(await offerText(canonicalJson(twice))).toBe("INVALID_CONTENT");
    expect(await offerText(canonicalJson(contentToJson({ ...oneGrant("get"), ruleSets: [...sets, ...sets] })))).toBe(
      "INVALID_CONTENT",
    );
    // A rule set is named by the hash of its rules, so that none can hold itself or another.
    expect(await offerText(canonicalJson(contentToJson({ ...oneGrant("get"), ruleSets: [] })))).toBe("INVALID_CONTENT");
    expect(await offerText(canonicalJson({ ...json, schemaVersion: 3 }))).toBe("UNSUPPORTED_SCHEMA");
    expect(store.current).toBeUndefined();
  });

  it("key compromise: what a withdrawn key signed stops deciding at once, and after a restart", async () => {
    const b = await snapshotBench(key);
    const ring = new KeyRing([key.publicKey]);
    let store = await b.open(ring);
    await offer(store, signedSnapshot(oneGrant("*"), key, { sequence: 1, issuedAtMs: now }));
    const next = testKey();
    ring.replace([next.publicKey]);
    await store.reverify();
    expect([may(store, "get"), store.state().freshness]).toEqual([false, "NOT_READY"]);
    store = await b.open(ring);
    expect(store.state()).toMatchObject({ freshness: "NOT_READY", lastRejection: { code: "UNKNOWN_KEY" } });
    expect(await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 2, issuedAtMs: now }))).toBe(
      "UNKNOWN_KEY",
    );
    expect(await offer(store, signedSnapshot(oneGrant("get"), next, { sequence: 2, issuedAtMs: now }))).toBe(
      "activation",
    );
  });

  it("key rotation: both keys are trusted while the signer changes, and nothing stops meanwhile", async () => {
    const b = await snapshotBench(key);
    const next = testKey();
    const ring = new KeyRing([key.publicKey]);
    const store = await b.open(ring);
    await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }));
    ring.replace([key.publicKey, next.publicKey]);
    await store.reverify();
    expect(may(store, "get")).toBe(true);
    // The same content under the new key is a renewal: nothing is built, nothing is acknowledged again.
    expect(await offer(store, signedSnapshot(oneGrant("get"), next, { sequence: 1, issuedAtMs: now + 1 }))).toBe(
      "renewal",
    );
    ring.replace([next.publicKey]);
    await store.reverify();
    expect([may(store, "get"), store.state().freshness, store.current?.keyId]).toEqual([
      true,
      "FRESH",
      next.signer.keyId,
    ]);
  });

  it("replay of what was revoked, also after a restart, a reconnect and with a newer statement", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    const revoked = signedSnapshot(oneGrant("get"), key, { sequence: 3, issuedAtMs: now });
    await offer(store, revoked);
    expect(await store.revokeBelow(4)).toEqual({ dropped: true });
    expect(await offer(store, revoked)).toBe("REVOKED");
    store = await b.open();
    expect(await offer(store, revoked)).toBe("REVOKED");
    expect(await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 3, issuedAtMs: now + 60_000 }))).toBe(
      "REVOKED",
    );
    expect([store.state().freshness, may(store, "get")]).toEqual(["REVOKED", false]);
    // A statement that names a floor above itself revokes itself.
    const itself = { sequence: 5, minSequence: 6, issuedAtMs: now };
    expect(await offer(store, signedSnapshot(oneGrant("get"), key, itself))).toBe("REVOKED");
    expect(await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 5, issuedAtMs: now }))).toBe(
      "activation",
    );
  });

  it("invariant 4: whatever is offered in whatever order, only verified content of this cluster answers, at or above its floor", async () => {
    const random = new SeededRandom(4);
    const stolen = testKey();
    for (let round = 0; round < 20; round++) {
      const store = await (await snapshotBench(key)).open();
      let floor = 0;
      for (let i = 0; i < 25; i++) {
        const sequence = 1 + Math.floor(random.next() * 8);
        const signer = random.next() < 0.8 ? key : stolen;
        const world = randomWorld(random);
        const targetCluster = random.next() < 0.9 ? "tenant-1" : "tenant-2";
        const before = store.current;
        if (random.next() < 0.15) {
          floor = Math.max(floor, sequence);
          await store.revokeBelow(sequence);
        } else
          await offer(store, signedSnapshot({ ...world, targetCluster }, signer, { sequence, issuedAtMs: now + i }));
        const { current } = store;
        if (current === undefined) continue;
        expect(current.keyId).toBe(key.signer.keyId);
        expect(current.index.content.targetCluster).toBe("tenant-1");
        expect(current.statement.sequence).toBeGreaterThanOrEqual(floor);
        expect(current.statement.sequence).toBeGreaterThanOrEqual(before?.statement.sequence ?? 0);
      }
    }
  });
});
