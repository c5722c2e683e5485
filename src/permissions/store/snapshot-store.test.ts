import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type SignedSnapshot, signedSnapshot, testKey } from "../../../test/oracle/signed-snapshots.ts";
import { WORLD_NOW_MS, randomWorld } from "../../../test/oracle/permission-worlds.ts";
import { may, offer, oneGrant, snapshotBench } from "../../../test/support/snapshot-bench.ts";
import { ManualClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { durableDirectory } from "../../trust/durable-directory.ts";
import { KeyRing } from "../../trust/keyring/key-ring.ts";
import { buildIndex } from "../index/build-index.ts";
import { indexOf } from "../index/permission-index.ts";
import { encodeContent } from "../snapshot/content.ts";
import type { SnapshotStoreEvent } from "./active-snapshot.ts";
import { openSnapshotStore } from "./snapshot-store.ts";

const key = testKey();

describe("snapshot store", () => {
  const now = WORLD_NOW_MS;

  it("W17: activates, replaces, and serves again after a restart without anybody's help", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    expect(store.state().freshness).toBe("NOT_READY");
    expect(await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }))).toBe(
      "activation",
    );
    expect(may(store, "get")).toBe(true);
    expect(await offer(store, signedSnapshot(oneGrant("list"), key, { sequence: 2, issuedAtMs: now }))).toBe(
      "activation",
    );
    expect([may(store, "get"), may(store, "list")]).toEqual([false, true]);
    store = await b.open();
    expect(store.current?.statement.sequence).toBe(2);
    expect(may(store, "list")).toBe(true);
    expect(store.state()).toMatchObject({ freshness: "FRESH", degraded: false });
    const files = await readdir(b.directory);
    expect(files.filter((name) => name.startsWith("content-"))).toHaveLength(1);
  });

  it("W13: refuses in the order of the specification, keeps the last good one and says it is degraded", async () => {
    const b = await snapshotBench(key);
    const store = await b.open();
    const good = signedSnapshot(oneGrant("get"), key, { sequence: 5, issuedAtMs: now });
    const next = { sequence: 6, issuedAtMs: now };
    expect(await offer(store, good)).toBe("activation");
    const other = testKey();
    const forged = JSON.parse(Buffer.from(good.envelope).toString()) as {
      signatures: { keyid: string; sig: string }[];
    };
    const bad = { ...forged, signatures: [{ keyid: key.signer.keyId, sig: Buffer.alloc(64, 1).toString("base64") }] };
    const cases: readonly (readonly [string, SignedSnapshot])[] = [
      ["MALFORMED", { ...good, envelope: Buffer.from("{}") }],
      ["UNSIGNED", { ...good, envelope: Buffer.from(JSON.stringify({ ...forged, signatures: [] })) }],
      ["UNKNOWN_KEY", signedSnapshot(oneGrant("list"), other, next)],
      ["SIGNATURE_INVALID", { ...good, envelope: Buffer.from(JSON.stringify(bad)) }],
      ["WRONG_CLUSTER", signedSnapshot({ ...oneGrant("list"), targetCluster: "tenant-2" }, key, next)],
      ["ROLLBACK_REJECTED", signedSnapshot(oneGrant("list"), key, { sequence: 4, issuedAtMs: now })],
      ["ROLLBACK_REJECTED", signedSnapshot(oneGrant("list"), key, { ...next, epoch: 1 })],
      ["EQUIVOCATION", signedSnapshot(oneGrant("list"), key, { sequence: 5, issuedAtMs: now })],
      ["REVOKED", signedSnapshot(oneGrant("list"), key, { ...next, minSequence: 7 })],
      ["CLOCK_SKEW", signedSnapshot(oneGrant("list"), key, { sequence: 6, issuedAtMs: now + 301_000 })],
      ["EXPIRED", signedSnapshot(oneGrant("list"), key, { sequence: 6, issuedAtMs: now - 86_400_000 })],
      [
        "CONTENT_HASH_MISMATCH",
        { ...signedSnapshot(oneGrant("list"), key, next), content: encodeContent(oneGrant("watch")).bytes },
      ],
      ["UNSUPPORTED_SCHEMA", signedSnapshot({ ...oneGrant("list"), schemaVersion: 3 }, key, next)],
      ["INVALID_CONTENT", signedSnapshot({ ...oneGrant("list"), ruleSets: [] }, key, next)],
      [
        "INVALID_CONTENT",
        signedSnapshot({ ...oneGrant("list"), targetCluster: "tenant-2" }, key, { ...next, cluster: "tenant-1" }),
      ],
    ];
    for (const [code, snapshot] of cases) {
      expect(await offer(store, snapshot)).toBe(code);
      expect(store.state()).toMatchObject({ degraded: true, lastRejection: { code } });
      expect(may(store, "get")).toBe(true);
    }
    expect(await offer(store, signedSnapshot(oneGrant("list"), key, next))).toBe("activation");
    expect(store.state().degraded).toBe(false);
  });

  it("W11: accepts nothing without a key, and the key decides again after a restart", async () => {
    const b = await snapshotBench(key);
    let store = await b.open(new KeyRing());
    const good = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now });
    expect(await offer(store, good)).toBe("KEYS_MISSING");
    store = await b.open();
    expect(await offer(store, good)).toBe("activation");
    store = await b.open(testKey().ring);
    expect(store.current).toBeUndefined();
    expect(store.state()).toMatchObject({ freshness: "NOT_READY", lastRejection: { code: "UNKNOWN_KEY" } });
  });

  it("serves nothing from content that was altered on disk", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }));
    const folder = b.directory;
    const file = join(folder, (await readdir(folder)).find((name) => name.startsWith("content-")) ?? "");
    await writeFile(file, (await readFile(file, "utf8")).replace('"get"', '"*"'));
    store = await b.open();
    expect(store.state()).toMatchObject({ freshness: "NOT_READY", lastRejection: { code: "CONTENT_HASH_MISMATCH" } });
  });

  it("keeps the floor when a newer offer was prepared and never activated", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    const first = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now });
    await offer(store, first);
    const second = signedSnapshot(oneGrant("list"), key, { sequence: 2, issuedAtMs: now });
    await store.prepare(second.envelope, () => Promise.resolve(second.content));
    store = await b.open();
    expect(may(store, "get")).toBe(true);
    expect(await offer(store, first)).toBe("ROLLBACK_REJECTED");
    expect(await offer(store, second)).toBe("activation");
  });

  it("goes from fresh to stale to expired by monotonic time and back by a quiet renewal", async () => {
    const b = await snapshotBench(key);
    const store = await b.open();
    const heard: SnapshotStoreEvent[] = [];
    store.subscribe((event) => heard.push(event));
    await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }));
    b.clock.jumpWall(3_600_000);
    expect(store.state().freshness).toBe("FRESH");
    b.clock.jumpWall(-3_600_000);
    await b.clock.advance(300_001);
    expect(store.state()).toMatchObject({ freshness: "STALE", ageMs: 300_001 });
    const renewal = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now + 300_000 });
    const contentAsked = store.prepare(renewal.envelope, () => Promise.reject(new Error("content must not be read")));
    await store.activate(await contentAsked);
    expect(store.state()).toMatchObject({ freshness: "FRESH", ageMs: 0 });
    // The first statement again, replayed: it is no proof that anybody still vouches for the content.
    await b.clock.advance(200_000);
    expect(await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }))).toBe(
      "unchanged",
    );
    expect(store.state().ageMs).toBe(200_000);
    await b.clock.advance(86_400_000);
    expect(store.state().freshness).toBe("EXPIRED");
    expect(heard.map((event) => (event.type === "freshness" ? event.freshness : event.type))).toEqual([
      "activated",
      "FRESH",
      "STALE",
      "renewed",
      "FRESH",
      "STALE",
      "EXPIRED",
    ]);
  });

  it("offline, a right that was revoked decides until maxOfflineSeconds after the last verified statement, and not a millisecond longer", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }));
    await b.clock.advance(80_000_000);
    b.clock.jumpWall(-3_600_000);
    await b.clock.advance(6_400_000);
    expect([store.state().freshness, may(store, "get")]).toEqual(["STALE", true]);
    await b.clock.advance(1);
    expect(store.state().freshness).toBe("EXPIRED");
    // A restart forgets nothing of it while the clock is right.
    b.clock.jumpWall(3_600_000);
    store = await b.open();
    expect(store.state().freshness).toBe("EXPIRED");
  });

  it("loads an expired snapshot as expired, and one from the future not at all", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }));
    store = await b.open(key.ring, new ManualClock(now + 86_400_001));
    expect(store.state().freshness).toBe("EXPIRED");
    store = await b.open(key.ring, new ManualClock(now - 3_600_000));
    expect(store.state()).toMatchObject({ freshness: "NOT_READY", lastRejection: { code: "CLOCK_SKEW" } });
  });

  it("W14: does not activate what was revoked, or whose key was withdrawn, between its verification and its activation", async () => {
    const b = await snapshotBench(key);
    const ring = new KeyRing([key.publicKey]);
    const store = await b.open(ring);
    const first = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now });
    const prepared = await store.prepare(first.envelope, async () => first.content);
    await store.revokeBelow(2);
    await expect(store.activate(prepared)).rejects.toMatchObject({ code: "REVOKED" });
    expect([store.current, may(store, "get")]).toEqual([undefined, false]);
    expect(store.state()).toMatchObject({ degraded: true, lastRejection: { code: "REVOKED" } });
    const second = signedSnapshot(oneGrant("get"), key, { sequence: 2, issuedAtMs: now });
    const again = await store.prepare(second.envelope, async () => second.content);
    ring.replace([testKey().publicKey]);
    await store.reverify();
    await expect(store.activate(again)).rejects.toMatchObject({ code: "UNKNOWN_KEY" });
    expect(store.current).toBeUndefined();
  });

  it("serves nothing by a key that was withdrawn while it read what is held", async () => {
    const b = await snapshotBench(key);
    const files = durableDirectory(b.directory);
    await offer(await b.open(), signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now }));
    await b.close();
    const ring = new KeyRing([key.publicKey]);
    const stop = new AbortController();
    const store = await openSnapshotStore({
      directory: b.directory,
      files: {
        ...files,
        read: async (name) => {
          const bytes = await files.read(name);
          if (name.startsWith("content-")) ring.replace([testKey().publicKey]);
          return bytes;
        },
      },
      cluster: "tenant-1",
      keys: ring,
      clock: b.clock,
      log: silentLog,
      signal: stop.signal,
    });
    expect(store.state()).toMatchObject({ freshness: "NOT_READY", lastRejection: { code: "UNKNOWN_KEY" } });
    stop.abort();
    await store.closed;
  });

  it("stays revoked over restarts until a newer one verifies", async () => {
    const b = await snapshotBench(key);
    let store = await b.open();
    const first = signedSnapshot(oneGrant("get"), key, { sequence: 1, issuedAtMs: now });
    await offer(store, first);
    expect(await store.revokeBelow(2)).toEqual({ dropped: true });
    expect(store.state().freshness).toBe("REVOKED");
    store = await b.open();
    expect(store.state().freshness).toBe("REVOKED");
    expect(await offer(store, first)).toBe("REVOKED");
    expect(await offer(store, signedSnapshot(oneGrant("get"), key, { sequence: 2, issuedAtMs: now }))).toBe(
      "activation",
    );
    expect(store.state().freshness).toBe("FRESH");
  });
});

describe("buildIndex", () => {
  it("gives the same index from a worker as on the event loop", async () => {
    const random = new SeededRandom(3);
    const content = randomWorld(random);
    const { bytes, contentHash } = encodeContent(content);
    const { signal } = new AbortController();
    const [here, there] = await Promise.all([
      buildIndex(bytes, contentHash, { signal }),
      buildIndex(bytes, contentHash, { signal, offLoopEntries: -1 }),
    ]);
    expect(there.content).toEqual(content);
    expect(there.sizes).toEqual(here.sizes);
    expect(here.sizes).toEqual(indexOf(content).sizes);
    for (const verb of ["get", "list", "create", "impersonate"])
      for (const name of ["", "a", "b"])
        for (const user of ["alice", "bob", "dev", "system:anonymous"]) {
          const request = {
            form: "resource",
            verb,
            apiGroup: "",
            resource: "pods",
            subresource: "log",
            name,
            namespace: "default",
          } as const;
          const groups = ["ops"];
          expect(there.decide(user, groups, request, WORLD_NOW_MS)).toBe(
            here.decide(user, groups, request, WORLD_NOW_MS),
          );
        }
  });

  it("reports a refusal from the worker with its code", async () => {
    const { signal } = new AbortController();
    const { bytes } = encodeContent(oneGrant("get"));
    const padded = Buffer.concat([bytes, Buffer.alloc(1024 * 1024, 0x20)]);
    await expect(buildIndex(padded, "sha256:0", { signal })).rejects.toMatchObject({ code: "CONTENT_HASH_MISMATCH" });
  });
});
