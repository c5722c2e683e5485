import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../../../test/support/management-cluster.ts";
import { Secret } from "../../../api/builtin.ts";
import {
  SECRET_NAMES,
  signedPackSecretName,
  signedSnapshotSecretName,
  tenantNamespace,
  tombstoneSecretName,
} from "../../../api/names.ts";
import { systemClock } from "../../../base/clock.ts";
import { type Digest, digestOf } from "../../../base/digest.ts";
import { SeamError } from "../../../base/errors.ts";
import { silentLog } from "../../../base/log.ts";
import type { MetricLabels } from "../../../base/metrics.ts";
import { systemRandom } from "../../../base/random.ts";
import { PAYLOAD_TYPES, type Signer, ed25519Signer, encodeEnvelope, signEnvelope } from "../../../trust/dsse.ts";
import { KeyRing } from "../../../trust/keyring/key-ring.ts";
import { encodeIndex } from "../../index/encode-index.ts";
import type { IndexItem } from "../../index/index-document.ts";
import { BoundedBlobs } from "./bounded-blobs.ts";
import { type RunningDesiredStates, startDesiredStates } from "./desired-states.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const signer = ed25519Signer(privateKey);
const stranger = ed25519Signer(generateKeyPairSync("ed25519").privateKey);
const layer = Buffer.from("a layer");
const refusals: MetricLabels[] = [];
let reads = 0;
let management: TestManagementCluster;
let states: RunningDesiredStates;

beforeAll(async () => {
  management = await openManagementCluster();
  await management.addTenant("tenant-1");
  await management.addTenant("tenant-2");
  states = await startDesiredStates({
    cluster: management.cluster,
    packs: {
      get: (digest) => {
        reads += 1;
        if (digest === digestOf(layer)) return Promise.resolve(layer);
        return Promise.reject(new SeamError({ reason: "DigestMismatch", object: digest, expected: "its bytes" }));
      },
    },
    keys: new KeyRing([publicKey]),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    metrics: {
      count: (name, labels = {}) => {
        if (name === "verify_failures_total") refusals.push(labels);
      },
      gauge: () => {},
      observe: () => {},
    },
    signal: management.signal,
  });
});
afterAll(async () => {
  await management.close();
  await states.closed;
});

async function putSecret(cluster: string, name: string, data: Readonly<Record<string, Uint8Array>>): Promise<void> {
  const encoded = Object.fromEntries(
    Object.entries(data).map(([key, bytes]) => [key, Buffer.from(bytes).toString("base64")]),
  );
  const metadata = { name, namespace: tenantNamespace(cluster) };
  await management.cluster.patch(
    Secret,
    metadata,
    { type: "apply", body: { apiVersion: "v1", kind: "Secret", metadata, data: encoded } },
    { fieldManager: "test", force: true },
  );
}

interface Wanted {
  readonly sequence: number;
  readonly items?: readonly IndexItem[];
  /** Cluster the document names. */
  readonly names?: string;
  readonly by?: Signer;
}

async function putIndex(
  cluster: string,
  { sequence, items = [], names = cluster, by = signer }: Wanted,
): Promise<void> {
  const body = encodeIndex({
    _type: "FederationIndex/v1",
    cluster: names,
    epoch: 1,
    sequence,
    issuedAt: "2026-01-01T00:00:00Z",
    expiresAt: "2027-01-01T00:00:00Z",
    keyId: by.keyId,
    items,
    revocations: [],
  });
  const envelope = encodeEnvelope(signEnvelope(PAYLOAD_TYPES.index, body, by));
  await putSecret(cluster, SECRET_NAMES.federationIndex, { envelope });
}

const sequenceOf = (cluster: string): number | undefined => states.current(cluster)?.document.sequence;
const item = (kind: IndexItem["kind"], name: string, body: Uint8Array, more: object = {}): IndexItem => ({
  kind,
  name,
  version: 1,
  digest: digestOf(body),
  size: body.length,
  ...more,
});

describe("desired states", () => {
  it("follow each tenant's signed index and say which tenant changed", async () => {
    const changed: string[] = [];
    const stop = states.subscribe((cluster) => changed.push(cluster));
    expect(states.current("tenant-1")).toBeUndefined();
    await putIndex("tenant-1", { sequence: 1 });
    await vi.waitFor(() => expect(sequenceOf("tenant-1")).toBe(1));
    await putIndex("tenant-1", { sequence: 2 });
    await vi.waitFor(() => expect(sequenceOf("tenant-1")).toBe(2));
    expect(changed).toEqual(["tenant-1", "tenant-1"]);
    expect(states.current("tenant-1")?.digest).toBe(digestOf(states.current("tenant-1")?.envelope.body ?? ""));
    stop();
  });

  it.each<[string, Wanted]>([
    ["UNKNOWN_KEY", { sequence: 9, by: stranger }],
    ["WRONG_CLUSTER", { sequence: 9, names: "tenant-2" }],
    ["ROLLBACK_REJECTED", { sequence: 1 }],
  ])("keep the last good index and count the refusal: %s", async (reason, wanted) => {
    refusals.length = 0;
    await putIndex("tenant-1", wanted);
    await vi.waitFor(() => expect(refusals).toEqual([{ kind: "FederationIndex", reason }]));
    expect(sequenceOf("tenant-1")).toBe(2);
  });

  it("give a tenant the bodies its index names, from where each kind lies, and no other tenant's", async () => {
    const [pack, snapshot, content, tombstone] = ["pack", "snapshot", "content", "tombstone"].map((text) =>
      Buffer.from(text),
    ) as [Buffer, Buffer, Buffer, Buffer];
    await putSecret("tenant-1", signedPackSecretName("tenant-1", "web-tenant-1"), { envelope: pack });
    await putSecret("tenant-1", signedSnapshotSecretName("tenant-1"), { envelope: snapshot, content });
    await putSecret("tenant-1", tombstoneSecretName("old-tenant-1"), { envelope: tombstone });
    const ref = { digest: digestOf(layer), size: layer.length };
    await putIndex("tenant-1", {
      sequence: 3,
      items: [
        item("PackInstalled", "web-tenant-1", pack, { refs: [ref] }),
        item("PackInstalled", "old-tenant-1", tombstone, { deleted: true }),
        item("PermissionSnapshot", "snapshot-tenant-1", snapshot, {
          refs: [{ digest: digestOf(content), size: content.length }],
        }),
      ],
    });
    await vi.waitFor(() => expect(sequenceOf("tenant-1")).toBe(3));
    for (const body of [pack, snapshot, content, tombstone, layer])
      expect(Buffer.from((await states.blob("tenant-1", digestOf(body))) ?? []).toString()).toBe(body.toString());
    await putIndex("tenant-2", { sequence: 1 });
    await vi.waitFor(() => expect(sequenceOf("tenant-2")).toBe(1));
    expect(await states.blob("tenant-2", digestOf(pack))).toBeUndefined();
    expect(await states.blob("tenant-1", "sha256:nonsense")).toBeUndefined();
    expect(await states.blob("tenant-9", digestOf(pack))).toBeUndefined();
  });

  it("read a body once for many agents that ask for it", async () => {
    const ref = { digest: digestOf(layer), size: layer.length };
    await putIndex("tenant-2", {
      sequence: 2,
      items: [item("PackInstalled", "web-tenant-2", Buffer.from("x"), { refs: [ref] })],
    });
    await vi.waitFor(() => expect(sequenceOf("tenant-2")).toBe(2));
    const before = reads;
    const bodies = await Promise.all(Array.from({ length: 50 }, () => states.blob("tenant-2", ref.digest)));
    expect(new Set(bodies).size).toBe(1);
    expect(reads).toBe(before);
  });

  it("answer nothing for a body that is newer than the index or missing, and say so when it was altered in the store", async () => {
    const altered: Digest = digestOf("what the index pins");
    await putIndex("tenant-2", {
      sequence: 3,
      items: [
        item("PackInstalled", "gone-tenant-2", Buffer.from("never stored")),
        item("PackInstalled", "web-tenant-2", Buffer.from("old"), { refs: [{ digest: altered, size: 19 }] }),
      ],
    });
    await putSecret("tenant-2", signedPackSecretName("tenant-2", "web-tenant-2"), { envelope: Buffer.from("new") });
    await vi.waitFor(() => expect(sequenceOf("tenant-2")).toBe(3));
    for (const digest of [digestOf("never stored"), digestOf("old")])
      expect(await states.blob("tenant-2", digest)).toBeUndefined();
    for (let again = 0; again < 2; again++)
      await expect(states.blob("tenant-2", altered)).rejects.toMatchObject({ name: "BodyCorrupt" });
  });
});

describe("bounded blobs", () => {
  it("never hold more than their budget and let the least recently used go first", () => {
    const blobs = new BoundedBlobs(10);
    blobs.put("a", new Uint8Array(4));
    blobs.put("b", new Uint8Array(4));
    expect(blobs.get("a")).toBeDefined();
    blobs.put("c", new Uint8Array(4));
    expect([blobs.get("a"), blobs.get("b"), blobs.get("c")].map((body) => body?.length)).toEqual([4, undefined, 4]);
    expect(blobs.bytes).toBe(8);
    blobs.put("huge", new Uint8Array(11));
    expect(blobs.get("huge")).toBeUndefined();
  });
});
