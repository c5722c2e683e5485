import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap, Lease } from "../../../src/api/builtin.ts";
import { PermissionSnapshot } from "../../../src/api/kinds/permission-snapshot.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { digestOf } from "../../../src/base/digest.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { parseAuditEvent } from "../../../src/federation/audit/audit-chain.ts";
import { factOutbox } from "../../../src/federation/outbox/fact-outbox.ts";
import { openOutbox } from "../../../src/federation/outbox/outbox.ts";
import { encodeIndex } from "../../../src/federation/index/encode-index.ts";
import { encodeRevocation } from "../../../src/federation/revocation/revocation-body.ts";
import { startAuditHandover } from "../../../src/federation/spoke/audit/audit-handover.ts";
import { startAuditSpill } from "../../../src/federation/spoke/audit/audit-spill.ts";
import { SnapshotHandler } from "../../../src/federation/spoke/items/snapshot/snapshot-handler.ts";
import { ENVELOPE_ANNOTATION } from "../../../src/federation/spoke/items/snapshot/snapshot-mirror.ts";
import type { ItemContext } from "../../../src/federation/spoke/ports.ts";
import { SurfaceFacts } from "../../../src/federation/spoke/rbac/surface-facts.ts";
import { FollowerDirectory } from "../../../src/federation/spoke/replicas/follower-directory.ts";
import { followMirror } from "../../../src/federation/spoke/replicas/follow-mirror.ts";
import { followerLease } from "../../../src/federation/spoke/replicas/follower-lease.ts";
import type { SnapshotContent } from "../../../src/permissions/snapshot/content.ts";
import { type SnapshotStore, openSnapshotStore } from "../../../src/permissions/store/snapshot-store.ts";
import { PAYLOAD_TYPES, encodeEnvelope, signEnvelope } from "../../../src/trust/dsse.ts";
import { signedSnapshot, testKey } from "../../oracle/signed-snapshots.ts";
import { SUBJECTS, contractContent, subject, pods } from "../../support/permission-contract.ts";
import { RememberingTrail } from "../../support/remembering-trail.ts";
import { type TestTenantCluster, openTenantCluster } from "../../support/tenant-cluster.ts";

const PATIENT = { timeout: 20_000, interval: 20 };
const ont = "ont-system";
const mirrorKey = { namespace: ont, name: "snapshot-tenant-1" };
const key = testKey();
const stop = new AbortController();
const common = { clock: systemClock, random: systemRandom, log: silentLog };
let tenant: TestTenantCluster;
let directory: string;
let own: SnapshotStore;
let other: SnapshotStore;
let handler: SnapshotHandler;
let followers: FollowerDirectory;
let follower: { readonly end: AbortController; readonly closed: Promise<void> };
let sequence = 0;

/** What the hub sends, and the agent verifies, applies and mirrors. */
async function deliver(content: SnapshotContent, more: { readonly renew?: boolean } = {}): Promise<void> {
  if (more.renew !== true) sequence++;
  const { envelope, content: bytes } = signedSnapshot(content, key, { sequence, issuedAtMs: systemClock.now() });
  const digest = digestOf(bytes);
  const context: ItemContext = {
    cluster: "tenant-1",
    item: {
      kind: "PermissionSnapshot",
      name: "snapshot-tenant-1",
      version: sequence,
      digest: digestOf(envelope),
      size: envelope.length,
      refs: [{ digest, size: bytes.length }],
    },
    body: envelope,
    blobs: { read: () => Promise.resolve(bytes) },
    signal: stop.signal,
    waitingFor: () => {},
  };
  expect(await handler.verify(context)).toEqual({ ok: true });
  expect(await handler.apply(context)).toEqual({ ok: true });
}

function follow(name: string, store: SnapshotStore): typeof follower {
  const end = new AbortController();
  const signal = AbortSignal.any([stop.signal, end.signal]);
  const parts = { clusterId: "tenant-1", name, cluster: tenant.cluster, store, keys: key.ring, signal, ...common };
  return { end, closed: followMirror(parts).closed };
}

const open = (name: string) =>
  openSnapshotStore({
    directory: join(directory, name),
    cluster: "tenant-1",
    keys: key.ring,
    clock: systemClock,
    log: silentLog,
    signal: stop.signal,
  });

const inForce = (store: SnapshotStore) => store.current?.statement.version;
const same = () => expect.poll(() => inForce(other), PATIENT).toBe(inForce(own));
const mirror = () => tenant.cluster.get(PermissionSnapshot, mirrorKey);

function revocation(minSequence: number, signer = key.signer): Uint8Array {
  const body = encodeRevocation({
    cluster: "tenant-1",
    target: "PermissionSnapshot",
    name: "snapshot-tenant-1",
    namespace: "seam-system",
    revocationId: "r-1",
    serial: 1,
    reason: "a test",
    minSequence,
    minSerial: 0,
    effectiveUnixMs: systemClock.now(),
  });
  return encodeEnvelope(signEnvelope(PAYLOAD_TYPES.revocation, body, signer));
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "replicas-"));
  tenant = await openTenantCluster({ nodes: false });
  own = await open("agent");
  other = await open("follower");
  followers = new FollowerDirectory({ clusterId: "tenant-1", cluster: tenant.cluster, signal: stop.signal, ...common });
  handler = new SnapshotHandler({
    clusterId: "tenant-1",
    cluster: tenant.cluster,
    store: own,
    facts: { snapshotReceipt: () => Promise.resolve() },
    trail: new RememberingTrail(),
    surface: new SurfaceFacts(),
    replica: "agent-0",
    followers,
    clock: systemClock,
    log: silentLog,
  });
  follower = follow("follower-0", other);
});

afterAll(async () => {
  stop.abort();
  await Promise.all([follower.closed, followers.closed, own.closed, other.closed]);
  await tenant.close();
  await rm(directory, { recursive: true, force: true });
});

describe("a replica that follows the mirror", () => {
  it("has what the agent verified, by a verification of its own, and is renewed with it", async () => {
    await deliver(contractContent(SUBJECTS));
    await same();
    expect(other.floor.accepted).toEqual(own.floor.accepted);
    const before = other.current?.statement.issuedAtMs ?? 0;
    await deliver(contractContent(SUBJECTS), { renew: true });
    await expect.poll(() => (other.current?.statement.issuedAtMs ?? 0) > before, PATIENT).toBe(true);
    await expect.poll(() => followers.known, PATIENT).toBe(1);
  });

  it("takes nothing that was altered, forged or is older, and answers on by what it has", async () => {
    const good = await mirror();
    const held = inForce(other);
    const refused = async (body: object, code: string): Promise<void> => {
      await tenant.cluster.patch(PermissionSnapshot, mirrorKey, { type: "merge", body: body as never });
      await expect.poll(() => other.state().lastRejection?.code, PATIENT).toBe(code);
      expect([inForce(other), other.state().degraded]).toEqual([held, true]);
    };
    const annotated = (envelope: Uint8Array) => ({
      metadata: { annotations: { [ENVELOPE_ANNOTATION]: Buffer.from(envelope).toString() } },
    });
    const next = contractContent([...SUBJECTS, subject("mallory-2", pods.id)]);
    const newer = { sequence: sequence + 1, issuedAtMs: systemClock.now() };
    await refused(annotated(signedSnapshot(next, testKey(), newer).envelope), "UNKNOWN_KEY");
    // Signed, and the content beside it is another one.
    await refused(annotated(signedSnapshot(next, key, newer).envelope), "CONTENT_HASH_MISMATCH");
    const older = { sequence, epoch: 1_600_000_000, issuedAtMs: systemClock.now() };
    await refused(annotated(signedSnapshot(next, key, older).envelope), "ROLLBACK_REJECTED");
    await refused(
      annotated(signedSnapshot({ ...next, targetCluster: "tenant-2" }, key, newer).envelope),
      "WRONG_CLUSTER",
    );
    await tenant.cluster.patch(PermissionSnapshot, mirrorKey, {
      type: "merge",
      body: { metadata: { annotations: good.metadata.annotations }, spec: good.spec } as never,
    });
    await deliver(next);
    await same();
    expect(other.state().degraded).toBe(false);
  });

  it("reads content that is too large for an object from its parts, and refuses it when one is missing", async () => {
    const parts = async () =>
      (await tenant.cluster.list(ConfigMap, { namespace: ont })).items
        .map(({ metadata }) => metadata.name)
        .filter((name) => name.startsWith("seam-snapshot-content-"));
    const many = Array.from({ length: 4_000 }, (_, i) => subject(`user-${String(i).padStart(4, "0")}`, pods.id));
    await deliver(contractContent(many));
    await same();
    const names = await parts();
    expect(names.length).toBeGreaterThan(1);
    expect((await mirror()).spec.subjects).toBeUndefined();
    await deliver(contractContent(many), { renew: true });
    expect(await parts()).toEqual(names);
    const late = await open("late");
    await tenant.cluster.delete(ConfigMap, { namespace: ont, name: names[1] ?? "" });
    const joined = follow("follower-late", late);
    await expect.poll(() => late.state().lastRejection?.code, PATIENT).toBe("INVALID_CONTENT");
    expect(late.current).toBeUndefined();
    joined.end.abort();
    await joined.closed;
    await deliver(contractContent(SUBJECTS));
    await same();
    expect(await parts()).toEqual([]);
  });

  it("has a revocation before the agent says that it is in force, and answers again by a snapshot above it", async () => {
    await expect.poll(() => followers.known, PATIENT).toBe(1);
    const floor = sequence + 1;
    const outcome = await handler.revoke(floor, () =>
      Promise.resolve({ kind: "revocation", envelope: revocation(floor) }),
    );
    // At this very moment, not some time after it.
    expect([other.current, other.state().freshness, other.floor.minimumSequence]).toEqual([
      undefined,
      "REVOKED",
      floor,
    ]);
    expect(outcome).toEqual({ applied: true, detail: "in force on this replica and on 1 that follow" });
    await deliver(contractContent(SUBJECTS));
    await same();
    // A replica with an empty disk meets the revocation before what the mirror still had.
    const fresh = await open("fresh");
    const joined = follow("follower-fresh", fresh);
    await expect.poll(() => inForce(fresh), PATIENT).toBe(inForce(own));
    expect(fresh.floor.minimumSequence).toBe(floor);
    joined.end.abort();
    await joined.closed;
  });

  it("takes the signed index as the proof of a floor whose own message was lost", async () => {
    const floor = sequence + 1;
    const body = encodeIndex({
      _type: "FederationIndex/v1",
      cluster: "tenant-1",
      epoch: 1_700_000_000,
      sequence: 5,
      issuedAt: "2026-01-01T00:00:00Z",
      expiresAt: "2026-01-02T00:00:00Z",
      keyId: key.signer.keyId,
      items: [],
      revocations: [{ target: "PermissionSnapshot", name: "snapshot-tenant-1", floor, serial: 2 }],
    });
    const envelope = encodeEnvelope(signEnvelope(PAYLOAD_TYPES.index, body, key.signer));
    const outcome = await handler.revoke(floor, () => Promise.resolve({ kind: "index", envelope }));
    expect([other.state().freshness, other.floor.minimumSequence]).toEqual(["REVOKED", floor]);
    expect(outcome.applied).toBe(true);
    await deliver(contractContent(SUBJECTS));
    await same();
  });

  it("believes no revocation that nobody signed", async () => {
    const far = sequence + 1_000;
    await tenant.cluster.patch(
      ConfigMap,
      { namespace: ont, name: "conductor-revocations" },
      {
        type: "merge",
        body: {
          binaryData: { envelope: Buffer.from(revocation(far, testKey().signer)).toString("base64") },
        },
      },
    );
    await deliver(contractContent([...SUBJECTS, subject("bob", pods.id)]));
    await same();
    expect(other.floor.minimumSequence).toBeLessThan(far);
  });

  it("is named in the acknowledgement when it is heard of and does not confirm", async () => {
    const word = { name: "follower-stuck", floor: 0, version: "" };
    await tenant.cluster.patch(
      Lease,
      { namespace: ont, name: "conductor-follower-follower-stuck" },
      { type: "apply", body: followerLease("tenant-1", word, systemClock.now()) },
      { fieldManager: "test", force: true },
    );
    await expect.poll(() => followers.known, PATIENT).toBe(2);
    const floor = sequence + 1;
    const outcome = await handler.revoke(floor, () =>
      Promise.resolve({ kind: "revocation", envelope: revocation(floor) }),
    );
    expect(outcome).toEqual({
      applied: false,
      detail: "in force on this replica and on 1 that follow; not confirmed by follower-stuck",
    });
    await tenant.cluster.delete(Lease, { namespace: ont, name: "conductor-follower-follower-stuck" });
    await deliver(contractContent(SUBJECTS));
    await same();
  });

  it("is stale and expires as the agent does when nothing is renewed, and serves what it holds after a restart", async () => {
    const short = { ...contractContent(SUBJECTS), freshnessWindowSeconds: 1, maxOfflineSeconds: 12 };
    await deliver(contractContent(SUBJECTS.slice(1)));
    await same();
    follower.end.abort();
    await follower.closed;
    const held = inForce(other);
    const again = await open("follower");
    expect(inForce(again)).toBe(held);
    other = again;
    follower = follow("follower-0", other);
    await deliver(short);
    await same();
    await expect.poll(() => other.state().freshness, PATIENT).toBe("STALE");
    // Who comes later counts from when it was issued, not from when it came.
    const late = await open("latecomer");
    const joined = follow("follower-latecomer", late);
    await expect.poll(() => inForce(late), PATIENT).toBe(inForce(own));
    expect(late.state().ageMs).toBeGreaterThan(1_000);
    joined.end.abort();
    await joined.closed;
    await expect.poll(() => other.state().freshness, { timeout: 28_000, interval: 100 }).toBe("EXPIRED");
    await deliver(contractContent(SUBJECTS));
    await same();
  });

  it("hands its audit events to the agent, which numbers them, and lets go of them when the agent has them", async () => {
    const end = new AbortController();
    const listener = { factPending: () => {}, auditAppended: () => {} };
    const stores = await Promise.all(
      [1n, 2n].map((auditEpoch) =>
        openOutbox({ directory: join(directory, `log-${auditEpoch}`), auditEpoch, ...common }),
      ),
    );
    const [agents, replicas] = stores;
    if (agents === undefined || replicas === undefined) throw new Error("both were opened");
    const facts = (outbox: typeof agents) => factOutbox({ cluster: "tenant-1", outbox, listener, ...common });
    const parts = { clusterId: "tenant-1", cluster: tenant.cluster, signal: end.signal, ...common };
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => facts(replicas).audit({ action: "authz.decision", decision: "deny", n })),
    );
    const handover = startAuditHandover({ ...parts, outbox: replicas });
    const spill = startAuditSpill({ ...parts, outbox: agents, facts: facts(agents), handedOver: () => true });
    await expect
      .poll(async () => (await replicas.auditCursor()).ackedThrough, { timeout: 60_000, interval: 100 })
      .toBe(40n);
    const taken = (await agents.loadAudit(1n, 1n, 100, 1_000_000)).map(({ event }) => parseAuditEvent(event));
    expect(taken.map(({ n }) => n)).toEqual(Array.from({ length: 40 }, (_, n) => n));
    expect(taken[7]).toMatchObject({ sourceEpoch: "2", sourceSequence: "8", clusterId: "tenant-1" });
    end.abort();
    await Promise.all([handover.closed, spill.closed]);
    await Promise.all(stores.map((outbox) => outbox.close()));
  });
});
