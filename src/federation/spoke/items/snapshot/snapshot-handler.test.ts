import { RememberingTrail } from "../../../../../test/support/remembering-trail.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ruleSetOf } from "../../../../../test/oracle/permission-worlds.ts";
import { type SignedSnapshot, signedSnapshot, testKey } from "../../../../../test/oracle/signed-snapshots.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../../../test/support/management-cluster.ts";
import { Nack_Class } from "../../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { PermissionSnapshotReceipt } from "../../../../api/kinds/permission-snapshot-receipt.ts";
import { PermissionSnapshot } from "../../../../api/kinds/permission-snapshot.ts";
import { systemClock } from "../../../../base/clock.ts";
import { digestOf } from "../../../../base/digest.ts";
import { silentLog } from "../../../../base/log.ts";
import { ruleOf } from "../../../../permissions/rules/rule.ts";
import type { SnapshotContent } from "../../../../permissions/snapshot/content.ts";
import { type SnapshotStore, openSnapshotStore } from "../../../../permissions/store/snapshot-store.ts";
import { decodeEnvelope } from "../../../../trust/dsse.ts";
import { SurfaceFacts } from "../../rbac/surface-facts.ts";
import type { FactOutbox, ItemContext, ItemOutcome } from "../../ports.ts";
import { SnapshotHandler } from "./snapshot-handler.ts";
import { ENVELOPE_ANNOTATION } from "./snapshot-mirror.ts";

type Report = Parameters<FactOutbox["snapshotReceipt"]>[0];

const key = testKey();
const stop = new AbortController();
const reports: Report[] = [];
const trail = new RememberingTrail();
let tenant: TestManagementCluster;
let directory: string;
let store: SnapshotStore;
let handler: SnapshotHandler;

function content(verb: string): SnapshotContent {
  const set = ruleSetOf([ruleOf({ verbs: [verb], apiGroups: [""], resources: ["pods"] })]);
  const source = { profileNamespace: "n", profileName: "p", declaration: 0, permissionSet: "s", policy: "q" };
  const binding = { ruleSet: set.id, scope: "cluster" as const, namespaces: [], expiresAt: "", source };
  return {
    schemaVersion: 2,
    targetCluster: "tenant-1",
    ceilings: {},
    ruleSets: [set],
    subjects: [{ kind: "User", namespace: "", name: "ada", principalRef: "ada", bindings: [binding] }],
    profiles: [],
    suspendedPrincipals: [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}

function contextOf({ envelope, content: bytes, contentHash }: SignedSnapshot): ItemContext {
  const digest = digestOf(bytes);
  return {
    cluster: "tenant-1",
    item: {
      kind: "PermissionSnapshot",
      name: "snapshot-tenant-1",
      version: 1,
      digest: digestOf(envelope),
      size: envelope.length,
      refs: [{ digest, size: bytes.length }],
    },
    body: envelope,
    blobs: {
      read: (asked) => (asked === contentHash ? Promise.resolve(bytes) : Promise.reject(new Error(`no blob ${asked}`))),
    },
    signal: stop.signal,
    waitingFor: () => {},
  };
}

async function walk(snapshot: SignedSnapshot): Promise<ItemOutcome> {
  const context = contextOf(snapshot);
  const verified = await handler.verify(context);
  return verified.ok ? handler.apply(context) : verified;
}

const receipt = () =>
  tenant.cluster.get(PermissionSnapshotReceipt, { namespace: "ont-system", name: "receipt-tenant-1" });

beforeAll(async () => {
  tenant = await openManagementCluster();
  directory = await mkdtemp(join(tmpdir(), "snapshot-handler-"));
  const common = { clock: systemClock, log: silentLog };
  store = await openSnapshotStore({ directory, cluster: "tenant-1", keys: key.ring, signal: stop.signal, ...common });
  const facts = {
    snapshotReceipt: (report: Report) => {
      reports.push(report);
      return Promise.resolve();
    },
  };
  handler = new SnapshotHandler({
    clusterId: "tenant-1",
    cluster: tenant.cluster,
    store,
    facts,
    trail,
    surface: new SurfaceFacts(),
    ...common,
  });
});

afterAll(async () => {
  stop.abort();
  await store.closed;
  await tenant.close();
  await rm(directory, { recursive: true });
});

describe("SnapshotHandler", () => {
  const first = signedSnapshot(content("get"), key, { sequence: 1, issuedAtMs: systemClock.now() - 1_000 });

  it("verifies without effect, then activates, acknowledges, mirrors and reports", async () => {
    const context = contextOf(first);
    expect(await handler.verify(context)).toEqual({ ok: true });
    expect(store.current).toBeUndefined();
    expect(await handler.apply(context)).toEqual({ ok: true });
    expect(await handler.healthy()).toEqual({ ok: true });
    const version = store.current?.statement.version;
    expect((await receipt()).spec).toMatchObject({
      snapshotVersion: version,
      contentHash: first.contentHash,
      sequence: 1,
    });
    expect((await receipt()).status).toMatchObject({ syncStatus: "InSync", degradedSecurityState: false });
    const mirror = await tenant.cluster.get(PermissionSnapshot, { namespace: "ont-system", name: "snapshot-tenant-1" });
    expect(mirror.metadata.labels).toEqual({ "ontai.dev/snapshot-type": "mirrored" });
    expect(mirror.spec.subjects?.[0]?.subjectName).toBe("ada");
    const envelope = decodeEnvelope(Buffer.from(mirror.metadata.annotations?.[ENVELOPE_ANNOTATION] ?? ""));
    expect(envelope?.signatures[0]?.keyId).toBe(key.signer.keyId);
    expect(reports.at(-1)).toMatchObject({ snapshotVersion: version, sequence: 1n, syncStatus: "InSync" });
    expect(trail.records.map(({ action }) => action)).toEqual(["snapshot.applied"]);
  });

  it("renews quietly: the acknowledgement stays, the last verification moves, nothing is audited", async () => {
    const before = (await receipt()).spec.acknowledgedAt;
    const renewal = signedSnapshot(content("get"), key, { sequence: 1, issuedAtMs: systemClock.now() });
    expect(await walk({ ...renewal, content: new Uint8Array() })).toEqual({ ok: true });
    expect((await receipt()).spec.acknowledgedAt).toBe(before);
    expect(reports.at(-1)?.lastVerifiedUnixMs).toBeGreaterThan(0n);
    expect(trail.records).toHaveLength(1);
  });

  it("W15: names the refusal, degrades the receipt, and keeps the last good one until a good one comes", async () => {
    const forged = signedSnapshot(content("*"), testKey(), { sequence: 2, issuedAtMs: systemClock.now() });
    expect(await walk(forged)).toMatchObject({
      ok: false,
      nack: { class: Nack_Class.UNTRUSTED, reason: "UNKNOWN_KEY", retryable: true },
    });
    const other = signedSnapshot(content("list"), key, { sequence: 1, issuedAtMs: systemClock.now() });
    expect(await walk(other)).toMatchObject({ nack: { reason: "EQUIVOCATION", retryable: false } });
    const altered = signedSnapshot(content("list"), key, { sequence: 2, issuedAtMs: systemClock.now() });
    const context = contextOf(altered);
    const wrongBlob = { ...context, blobs: { read: () => Promise.resolve(first.content) } };
    expect(await handler.verify(wrongBlob)).toMatchObject({ nack: { reason: "CONTENT_HASH_MISMATCH" } });
    expect((await receipt()).status).toMatchObject({
      syncStatus: "DegradedSecurityState",
      degradedSecurityState: true,
      degradedReason: "CONTENT_HASH_MISMATCH",
      lastRejected: { reasonCode: "CONTENT_HASH_MISMATCH" },
    });
    expect(reports.at(-1)).toMatchObject({
      sequence: 1n,
      syncStatus: "DegradedSecurityState",
      degradedReason: "CONTENT_HASH_MISMATCH",
      lastRejected: { reasonCode: "CONTENT_HASH_MISMATCH" },
    });
    expect(store.current?.statement.sequence).toBe(1);
    expect(trail.records.at(-1)).toMatchObject({ action: "snapshot.rejected", code: "CONTENT_HASH_MISMATCH" });
    expect(await walk(altered)).toEqual({ ok: true });
    expect((await receipt()).status).toMatchObject({ syncStatus: "InSync", degradedSecurityState: false });
    expect((await receipt()).status?.degradedReason).toBeUndefined();
  });

  it("applies without its verification when a crash came in between", async () => {
    const next = signedSnapshot(content("watch"), key, { sequence: 3, issuedAtMs: systemClock.now() });
    expect(await handler.apply(contextOf(next))).toEqual({ ok: true });
    expect(store.current?.statement.sequence).toBe(3);
  });

  it("refuses another cluster's item and a tombstone", async () => {
    const context = contextOf(signedSnapshot(content("get"), key, { sequence: 4, issuedAtMs: systemClock.now() }));
    const foreign = { ...context, item: { ...context.item, name: "snapshot-tenant-2" } };
    expect(await handler.verify(foreign)).toMatchObject({ nack: { reason: "WRONG_CLUSTER" } });
    expect(await handler.remove(context)).toMatchObject({ nack: { class: Nack_Class.UNSUPPORTED } });
  });

  it("drops what is revoked and says OutOfSync", async () => {
    expect(await handler.revoke(4)).toEqual({ applied: true, detail: "" });
    expect(store.state().freshness).toBe("REVOKED");
    expect((await receipt()).status?.syncStatus).toBe("OutOfSync");
    expect(reports.at(-1)).toMatchObject({ snapshotVersion: "", syncStatus: "OutOfSync" });
    expect(trail.records.at(-1)).toMatchObject({ action: "snapshot.revoked", details: { sequence: 4 } });
  });

  it("refuses what was revoked between its two phases, and tells the hub what it accepted although nothing is active", async () => {
    const next = contextOf(signedSnapshot(content("list"), key, { sequence: 5, issuedAtMs: systemClock.now() }));
    expect(await handler.verify(next)).toEqual({ ok: true });
    await handler.revoke(6);
    expect(await handler.apply(next)).toMatchObject({ ok: false, nack: { reason: "REVOKED", retryable: false } });
    expect(store.current).toBeUndefined();
    const accepted = store.floor.accepted;
    expect(accepted?.sequence).toBe(5);
    expect(reports.at(-1)).toMatchObject({ snapshotVersion: "", sequence: 5n, contentHash: accepted?.digest });
  });
});
