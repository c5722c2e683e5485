import { RememberingTrail } from "../../support/remembering-trail.ts";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile, readdir, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { create } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import {
  CheckPermissionRequestSchema,
  CheckPermissionResponseSchema,
  DecisionCode,
} from "../../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { PermissionSnapshotReceipt } from "../../../src/api/kinds/permission-snapshot-receipt.ts";
import { ManualClock } from "../../../src/base/clock.ts";
import { digestOf } from "../../../src/base/digest.ts";
import { silentLog } from "../../../src/base/log.ts";
import { silentMetrics } from "../../../src/base/metrics.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import { SnapshotHandler } from "../../../src/federation/spoke/items/snapshot/snapshot-handler.ts";
import { watchSnapshotStore } from "../../../src/federation/spoke/items/snapshot/snapshot-watch.ts";
import { SurfaceFacts } from "../../../src/federation/spoke/rbac/surface-facts.ts";
import { codeName } from "../../../src/permissions/http/wire-names.ts";
import { replyMessage } from "../../../src/permissions/http/reply-message.ts";
import { DecisionAudit } from "../../../src/permissions/service/decision-audit.ts";
import { permissionMethods } from "../../../src/permissions/service/permission-handlers.ts";
import type { SnapshotStore } from "../../../src/permissions/store/snapshot-store.ts";
import { KeyRing } from "../../../src/trust/keyring/key-ring.ts";
import { WORLD_NOW_MS } from "../../oracle/permission-worlds.ts";
import { type SignedSnapshot, signedSnapshot, testKey } from "../../oracle/signed-snapshots.ts";
import { type TestManagementCluster, openManagementCluster } from "../../support/management-cluster.ts";
import { type SnapshotBench, oneGrant, snapshotBench } from "../../support/snapshot-bench.ts";

const key = testKey();
const HOUR_MS = 3_600_000;
const now = WORLD_NOW_MS;
let tenant: TestManagementCluster;

beforeAll(async () => {
  tenant = await openManagementCluster();
});
afterAll(() => tenant.close());

/** A tenant's snapshot side on the embedded cluster: store, handler and service, restarted at will. */
class Tenant {
  readonly bench: SnapshotBench;
  readonly ring: KeyRing;
  readonly events: string[] = [];
  readonly trail = new RememberingTrail();
  store!: SnapshotStore;
  #handler!: SnapshotHandler;
  #stop = new AbortController();
  #ask!: (verb: string) => Promise<string>;

  private constructor(bench: SnapshotBench, ring: KeyRing) {
    this.bench = bench;
    this.ring = ring;
  }

  static async start(at?: string): Promise<Tenant> {
    const receipts = await tenant.cluster.list(PermissionSnapshotReceipt);
    for (const { metadata } of receipts.items)
      await tenant.cluster.delete(PermissionSnapshotReceipt, { namespace: "ont-system", name: metadata.name });
    const made = new Tenant(await snapshotBench(key, at), new KeyRing([key.publicKey]));
    await made.restart();
    onTestFinished(() => made.#stop.abort());
    return made;
  }

  /** The process is killed and starts again, by the clock that is given. */
  async restart(clock: ManualClock = this.bench.clock): Promise<void> {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.store = await this.bench.open(this.ring, clock);
    const facts = { snapshotReceipt: () => Promise.resolve() };
    const { store, trail } = this;
    const common = { clusterId: "tenant-1", cluster: tenant.cluster, store, facts, trail, clock, log: silentLog };
    const parts = { ...common, surface: new SurfaceFacts() };
    this.#handler = new SnapshotHandler(parts);
    const events = { record: (_: object, _type: string, reason: string) => void this.events.push(reason) };
    watchSnapshotStore({ ...parts, events, signal: this.#stop.signal });
    const random = new SeededRandom(1);
    const audit = new DecisionAudit({ lane: { audit: () => Promise.resolve() }, clock, random, log: silentLog });
    const methods = permissionMethods({ store, audit, clock, random, metrics: silentMetrics });
    const principal = {
      kind: "certificate",
      name: "ops",
      groups: ["seam:operators"],
      certificateSerial: "",
      notAfterMs: 0,
    } as const;
    const context = { principal, peer: "", metadata: new Metadata(), signal: this.#stop.signal };
    this.#ask = async (verb) => {
      const question = create(CheckPermissionRequestSchema, { principal: "alice", resource: "pods", verb });
      const answer = replyMessage(CheckPermissionResponseSchema, await methods.checkPermission(question, context));
      expect(answer.allowed).toBe(answer.code === DecisionCode.ALLOWED);
      return codeName(answer.code);
    };
  }

  /** What PermissionService answers about alice and pods. */
  ask(verb: string): Promise<string> {
    return this.#ask(verb);
  }

  /** Offered by the hub: `applied`, or the reason of the refusal as the hub hears it. */
  async offered({ envelope, content, contentHash }: SignedSnapshot): Promise<string> {
    const digest = digestOf(content);
    const context = {
      cluster: "tenant-1",
      item: {
        kind: "PermissionSnapshot" as const,
        name: "snapshot-tenant-1",
        version: 1,
        digest: digestOf(envelope),
        size: envelope.length,
        refs: [{ digest, size: content.length }],
      },
      body: envelope,
      blobs: { read: () => Promise.resolve(content) },
      signal: this.#stop.signal,
      waitingFor: () => {},
    };
    expect(contentHash).not.toBe("");
    const verified = await this.#handler.verify(context);
    const outcome = verified.ok ? await this.#handler.apply(context) : verified;
    return outcome.ok ? "applied" : outcome.nack.reason;
  }

  revoke(minSequence: number): Promise<unknown> {
    return this.#handler.revoke(minSequence);
  }

  async receipt(): Promise<readonly [syncStatus: string | undefined, reason: string | undefined]> {
    const name = { namespace: "ont-system", name: "receipt-tenant-1" };
    const { status } = await tenant.cluster.get(PermissionSnapshotReceipt, name);
    return [status?.syncStatus, status?.degradedReason];
  }

  /** The receipt follows what the store finds out by itself in its own time. */
  async receiptBecomes(...wanted: readonly [string, string?]): Promise<void> {
    await expect.poll(() => this.receipt(), { timeout: 10_000 }).toEqual([wanted[0], wanted[1]]);
  }
}

const signed = (verb: string, sequence: number, issuedAtMs = now): SignedSnapshot =>
  signedSnapshot(oneGrant(verb), key, { sequence, issuedAtMs });

describe("kill tests of permissions §20: each has its code and its condition", () => {
  it("hub down: fresh, stale, expired, and back with the first renewal", async () => {
    const t = await Tenant.start();
    expect([await t.ask("get"), await t.offered(signed("get", 1)), await t.ask("get")]).toEqual([
      "SNAPSHOT_NOT_LOADED",
      "applied",
      "ALLOWED",
    ]);
    await t.bench.clock.advance(300_001);
    expect([t.store.state().freshness, await t.ask("get"), await t.receipt()]).toEqual([
      "STALE",
      "ALLOWED",
      ["InSync", undefined],
    ]);
    await t.bench.clock.advance(86_400_000);
    expect([t.store.state().freshness, await t.ask("get")]).toEqual(["EXPIRED", "SNAPSHOT_EXPIRED"]);
    expect(await t.offered(signed("get", 1, t.bench.clock.now()))).toBe("applied");
    expect(await t.ask("get")).toBe("ALLOWED");
    await expect
      .poll(() => t.events, { timeout: 10_000 })
      .toEqual(["SnapshotStale", "SnapshotExpired", "SnapshotFresh"]);
    expect(t.trail.records.map(({ action }) => action)).toContain("snapshot.expired");
  });

  it("invariant 14: tenant restarted with the hub away: the same answers, and the age goes on", async () => {
    const t = await Tenant.start();
    await t.offered(signed("get", 1));
    await t.bench.clock.advance(200_000);
    await t.restart();
    expect([await t.ask("get"), await t.ask("delete"), t.store.state().freshness]).toEqual([
      "ALLOWED",
      "NO_MATCHING_RULE",
      "FRESH",
    ]);
    await t.bench.clock.advance(100_001);
    await t.restart();
    expect([await t.ask("get"), t.store.state()]).toMatchObject(["ALLOWED", { freshness: "STALE", ageMs: 300_001 }]);
  });

  it("clock an hour ahead and behind, running and over a restart", async () => {
    const t = await Tenant.start();
    await t.offered(signed("get", 1));
    t.bench.clock.jumpWall(HOUR_MS);
    expect([t.store.state().freshness, await t.ask("get")]).toEqual(["FRESH", "ALLOWED"]);
    expect(await t.offered(signed("list", 2))).toBe("applied");
    t.bench.clock.jumpWall(-2 * HOUR_MS);
    expect([t.store.state().freshness, await t.ask("list")]).toEqual(["FRESH", "ALLOWED"]);
    expect(await t.offered(signed("watch", 3))).toBe("CLOCK_SKEW");
    expect([await t.receipt(), await t.ask("list")]).toEqual([["DegradedSecurityState", "CLOCK_SKEW"], "ALLOWED"]);
    // Ahead after a restart: the age is overestimated, never underestimated.
    await t.restart(new ManualClock(now + HOUR_MS));
    expect([t.store.state().freshness, await t.ask("list")]).toEqual(["STALE", "ALLOWED"]);
    // Behind after a restart: nothing can be said of its age, so nothing is served until the clock is set.
    const behind = new ManualClock(now - HOUR_MS);
    await t.restart(behind);
    expect(await t.ask("list")).toBe("SNAPSHOT_NOT_LOADED");
    await t.receiptBecomes("DegradedSecurityState", "CLOCK_SKEW");
    behind.jumpWall(HOUR_MS);
    await behind.advance(2_000);
    await expect.poll(() => t.ask("list"), { timeout: 10_000 }).toBe("ALLOWED");
    await t.receiptBecomes("InSync");
  });

  it("key rotated while running, key missing at the start and mounted later", async () => {
    const t = await Tenant.start();
    await t.offered(signed("get", 1));
    const next = testKey();
    t.ring.replace([]);
    await t.store.reverify();
    // A mount that went away is no verdict about the key.
    expect(await t.ask("get")).toBe("ALLOWED");
    expect(await t.offered(signed("list", 2))).toBe("KEYS_MISSING");
    expect(await t.receipt()).toEqual(["DegradedSecurityState", "KEYS_MISSING"]);
    await t.restart();
    expect(await t.ask("get")).toBe("SNAPSHOT_NOT_LOADED");
    t.ring.replace([key.publicKey]);
    await t.store.reverify();
    expect(await t.ask("get")).toBe("ALLOWED");
    await t.receiptBecomes("InSync");
    t.ring.replace([next.publicKey]);
    await t.store.reverify();
    expect(await t.ask("get")).toBe("SNAPSHOT_NOT_LOADED");
    await t.receiptBecomes("DegradedSecurityState", "UNKNOWN_KEY");
    const rotated = signedSnapshot(oneGrant("list"), next, { sequence: 2, issuedAtMs: now });
    expect([await t.offered(rotated), await t.ask("list")]).toEqual(["applied", "ALLOWED"]);
    await t.receiptBecomes("InSync");
  });

  it("replayed, truncated and another cluster's snapshots", async () => {
    const t = await Tenant.start();
    const old = signed("*", 1);
    await t.offered(old);
    await t.offered(signed("get", 2));
    const degraded = async (snapshot: SignedSnapshot, code: string): Promise<void> => {
      expect(await t.offered(snapshot)).toBe(code);
      expect(await t.receipt()).toEqual(["DegradedSecurityState", code]);
      expect([await t.ask("get"), await t.ask("delete")]).toEqual(["ALLOWED", "NO_MATCHING_RULE"]);
    };
    await degraded(old, "ROLLBACK_REJECTED");
    const whole = signed("list", 3);
    for (const length of [0, 1, 40, whole.envelope.length - 1])
      await degraded({ ...whole, envelope: whole.envelope.subarray(0, length) }, "MALFORMED");
    await degraded({ ...whole, content: whole.content.subarray(0, whole.content.length - 1) }, "CONTENT_HASH_MISMATCH");
    const foreign = { ...oneGrant("*"), targetCluster: "tenant-2" };
    await degraded(signedSnapshot(foreign, key, { sequence: 9, issuedAtMs: now }), "WRONG_CLUSTER");
    expect([await t.offered(whole), await t.receipt()]).toEqual(["applied", ["InSync", undefined]]);
  });

  it("what lies on the disk is cut or altered: nothing is served from it, and a good offer heals", async () => {
    const t = await Tenant.start();
    await t.offered(signed("get", 1));
    const files = await readdir(t.bench.directory);
    const content = join(t.bench.directory, files.find((name) => name.startsWith("content-")) ?? "");
    await truncate(content, 100);
    await t.restart();
    expect(await t.ask("get")).toBe("SNAPSHOT_NOT_LOADED");
    await t.receiptBecomes("DegradedSecurityState", "CONTENT_HASH_MISMATCH");
    expect([await t.offered(signed("get", 1)), await t.ask("get")]).toEqual(["applied", "ALLOWED"]);
    await truncate(join(t.bench.directory, "statement.json"), 10);
    await t.restart();
    expect(await t.ask("get")).toBe("SNAPSHOT_NOT_LOADED");
    await t.receiptBecomes("DegradedSecurityState", "MALFORMED");
    expect([await t.offered(signed("get", 1, now + 1)), await t.ask("get")]).toEqual(["applied", "ALLOWED"]);
  });

  it("invariant 6: a revocation holds over reconnects and restarts", async () => {
    const t = await Tenant.start();
    const revoked = signed("get", 1);
    await t.offered(revoked);
    await t.revoke(2);
    expect([await t.ask("get"), await t.receipt()]).toEqual(["SNAPSHOT_REVOKED", ["OutOfSync", undefined]]);
    expect(await t.offered(revoked)).toBe("REVOKED");
    await t.restart();
    expect([await t.ask("get"), await t.offered(revoked)]).toEqual(["SNAPSHOT_REVOKED", "REVOKED"]);
    expect([await t.offered(signed("list", 2)), await t.ask("list"), await t.ask("get")]).toEqual([
      "applied",
      "ALLOWED",
      "NO_MATCHING_RULE",
    ]);
  });

  describe("disk full", () => {
    const mounted = mkdtempSync(join(tmpdir(), "seam-small-"));
    /** Only root may mount, and not in every container. */
    const small =
      process.getuid?.() === 0 && spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", mounted]).status === 0;
    afterAll(() => {
      if (small) spawnSync("umount", [mounted]);
      rmSync(mounted, { recursive: true, force: true });
    });

    it.skipIf(!small)("keeps what it has, refuses what it cannot store, and takes it when there is space", async () => {
      const t = await Tenant.start(mounted);
      await t.offered(signed("get", 1));
      const filler = join(mounted, "filler");
      let bytes = 256 * 1024;
      for (let whole = false; !whole && bytes > 0; bytes -= 1024) {
        try {
          writeFileSync(filler, Buffer.alloc(bytes));
          whole = true;
        } catch {
          // a little less
        }
      }
      await expect(t.offered(signed("list", 2))).rejects.toThrow(/ENOSPC/);
      expect([await t.ask("get"), await t.ask("list")]).toEqual(["ALLOWED", "NO_MATCHING_RULE"]);
      await t.restart();
      expect(await t.ask("get")).toBe("ALLOWED");
      rmSync(filler);
      expect([await t.offered(signed("list", 2)), await t.ask("list")]).toEqual(["applied", "ALLOWED"]);
      const held = await readFile(join(t.bench.directory, "floors.json"), "utf8");
      expect(held).toContain('"sequence":2');
    });
  });
});
