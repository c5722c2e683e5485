import { generateKeyPairSync } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigMap, Secret } from "../../../src/api/builtin.ts";
import { findCondition, isTrue } from "../../../src/api/conditions.ts";
import { DriftSignal } from "../../../src/api/kinds/drift-signal.ts";
import { PackDelivery } from "../../../src/api/kinds/pack-delivery.ts";
import { PackExecution } from "../../../src/api/kinds/pack-execution.ts";
import { PackInstalled } from "../../../src/api/kinds/pack-installed.ts";
import { NAMESPACES, SECRET_NAMES, tenantNamespace } from "../../../src/api/names.ts";
import { ManualClock } from "../../../src/base/clock.ts";
import { parseCorrection } from "../../../src/packs/manifest/correction.ts";
import { PAYLOAD_TYPES, decodeEnvelope, ed25519Signer, encodeEnvelope, signEnvelope } from "../../../src/trust/dsse.ts";
import { PackMesh } from "../../support/pack-mesh.ts";

const TENANT = "edge";
const HOME = tenantNamespace(TENANT);
const INSTALLED = { namespace: HOME, name: "hello-edge" };
const DELIVERY = { namespace: NAMESPACES.seam, name: "hello-v1.0.0" };
const SIGNED = { namespace: HOME, name: "seam-pack-signed-edge-hello-edge" };
const INDEX = { namespace: HOME, name: SECRET_NAMES.federationIndex };

let mesh: PackMesh;
beforeEach(async () => {
  mesh = await PackMesh.open([TENANT]);
});
afterEach(async () => {
  await mesh.close();
});

async function delivered(): Promise<void> {
  await mesh.publish("hello", "v1.0.0", { targetClusters: [TENANT] });
  const { status } = await mesh.until(PackInstalled, INSTALLED, (object) => object.status?.serial === 1);
  await mesh.untilIndex(TENANT, ({ items }) => items.some(({ digest }) => digest === status?.manifestDigest));
  await mesh.report(TENANT, "hello-edge", { level: "Healthy", version: 1 });
  await mesh.until(PackInstalled, INSTALLED, (object) => isTrue(object.status?.conditions, "Ready"));
}

describe("the signer is no oracle (R-5.6, R-5.7)", () => {
  it("refuses a pack whose stored blob was altered, names the reason, and signs once it is whole", async () => {
    const { spec } = await mesh.publish("hello", "v1.0.0", { targetClusters: [TENANT] });
    const file = join(mesh.directory, "packs/blobs/sha256", (spec.workloadDigest ?? "").slice("sha256:".length));
    const whole = await readFile(file);
    await writeFile(`${file}.tmp`, whole.toString().replace("workload", "worklOad"));
    await rename(`${file}.tmp`, file);
    await mesh.start();
    const refused = await mesh.until(PackDelivery, DELIVERY, ({ status }) =>
      isTrue(status?.conditions, "SigningRefused"),
    );
    expect(findCondition(refused.status?.conditions, "SigningRefused")?.reason).toBe("DigestMismatch");
    expect(refused.status?.signed).toBe(false);
    expect(refused.metadata.annotations?.["ontai.dev/pack-signature"]).toBeUndefined();
    expect(findCondition(refused.status?.conditions, "Available")?.status).not.toBe("True");
    await mesh.stop();
    await writeFile(`${file}.tmp`, whole);
    await rename(`${file}.tmp`, file);
    await mesh.start();
    await mesh.until(PackDelivery, DELIVERY, ({ status }) => status?.signed === true);
  });

  it("replaces a forged signature and never lets it pass for one", async () => {
    const delivery = await mesh.publish("hello", "v1.0.0", { targetClusters: [TENANT] });
    const forged = Buffer.alloc(64, 7).toString("base64");
    const annotations = {
      "ontai.dev/pack-signature": forged,
      "seam.ontai.dev/signing-key-id": mesh.signer.keyId.slice(0, 16),
    };
    await mesh.cluster.patch(PackDelivery, DELIVERY, { type: "merge", body: { metadata: { annotations } } });
    await mesh.start({ governance: false });
    const waiting = await mesh.until(
      PackDelivery,
      DELIVERY,
      ({ status }) => findCondition(status?.conditions, "Available")?.reason === "SignatureVerifyFailed",
    );
    expect(waiting.status?.targets).toMatchObject([{ phase: "Pending" }]);
    expect((await mesh.cluster.list(PackExecution, { namespace: HOME })).items).toEqual([]);
    await mesh.stop();
    await mesh.start();
    const signed = await mesh.until(PackDelivery, DELIVERY, ({ status }) => isTrue(status?.conditions, "Available"));
    expect(signed.metadata.uid).toBe(delivery.metadata.uid);
    expect(signed.metadata.annotations?.["ontai.dev/pack-signature"]).not.toBe(forged);
  });

  it("does not sign a PackInstalled that no admitted execution of a signed pack stands behind", async () => {
    await mesh.start();
    await mesh.cluster.create(PackInstalled, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "PackInstalled",
      metadata: INSTALLED,
      spec: { clusterPackRef: "hello-v1.0.0", version: "v1.0.0", targetClusterRef: TENANT },
    });
    const { status } = await mesh.until(PackInstalled, INSTALLED, (object) =>
      isTrue(object.status?.conditions, "SigningRefused"),
    );
    expect(findCondition(status?.conditions, "SigningRefused")?.reason).toBe("ExecutionNotFound");
    expect((await mesh.untilIndex(TENANT, () => true)).items).toEqual([]);
  });

  it("replaces a forged manifest under a higher serial", async () => {
    await mesh.start();
    await delivered();
    const stranger = ed25519Signer(generateKeyPairSync("ed25519").privateKey);
    const secret = await mesh.cluster.get(Secret, SIGNED);
    const held = decodeEnvelope(Buffer.from(secret.data?.["envelope"] ?? "", "base64"));
    const envelope = encodeEnvelope(
      signEnvelope(PAYLOAD_TYPES.packInstalled, held?.body ?? new Uint8Array(), stranger),
    );
    await mesh.cluster.patch(Secret, SIGNED, {
      type: "merge",
      body: { data: { envelope: Buffer.from(envelope).toString("base64") } },
    });
    const { status } = await mesh.until(PackInstalled, INSTALLED, (object) => object.status?.serial === 2);
    await mesh.untilIndex(TENANT, ({ items }) => items.some(({ digest }) => digest === status?.manifestDigest));
  });

  it("signs everything again with a new key, under new serials", async () => {
    await mesh.start();
    await delivered();
    await mesh.stop();
    const next = generateKeyPairSync("ed25519");
    const signer = ed25519Signer(next.privateKey);
    mesh.keys.replace([next.publicKey]);
    await mesh.start({ signer });
    const index = await mesh.untilIndex(TENANT, ({ keyId, items }) => keyId === signer.keyId && items.length === 1);
    expect(index.sequence).toBeGreaterThan(1);
    const { status } = await mesh.until(PackInstalled, INSTALLED, (object) => object.status?.serial === 2);
    await mesh.untilIndex(TENANT, ({ items }) => items[0]?.digest === status?.manifestDigest);
  });
});

describe("the tenant's index", () => {
  it("is there, empty and signed, as soon as a tenant is", async () => {
    await mesh.start();
    await mesh.register("late");
    expect(await mesh.untilIndex("late", () => true)).toMatchObject({ cluster: "late", sequence: 1, items: [] });
  });

  it("comes back with a higher sequence when it is deleted or forged, and with a new epoch when its ledger is lost too", async () => {
    await mesh.start();
    await delivered();
    const first = await mesh.index(TENANT);
    await mesh.cluster.delete(Secret, INDEX);
    const second = await mesh.untilIndex(TENANT, () => true);
    expect(second).toMatchObject({ epoch: first.epoch, sequence: first.sequence + 1 });
    expect(second.items[0]?.digest).toBe(first.items[0]?.digest);
    const forged = encodeEnvelope({ payloadType: PAYLOAD_TYPES.index, body: Buffer.from("{}"), signatures: [] });
    await mesh.cluster.patch(Secret, INDEX, {
      type: "merge",
      body: { data: { envelope: Buffer.from(forged).toString("base64") } },
    });
    await mesh.untilIndex(TENANT, ({ sequence }) => sequence === second.sequence + 1);
    await mesh.stop();
    await mesh.cluster.delete(ConfigMap, { namespace: HOME, name: SECRET_NAMES.federationIndexLedger });
    await mesh.cluster.delete(Secret, INDEX);
    await mesh.start({ clock: aheadBy(3_600_000) });
    const reborn = await mesh.untilIndex(TENANT, () => true);
    expect(reborn.epoch).toBeGreaterThan(first.epoch);
    expect(reborn.items[0]?.digest).toBe(first.items[0]?.digest);
  });

  it("costs no write while nothing changes (R-7.6)", async () => {
    await mesh.start();
    await delivered();
    await mesh.stop();
    const clock = new ManualClock(Date.now());
    await mesh.start({ clock });
    await quiet(clock);
    const before = mesh.cluster.currentResourceVersion();
    for (let minute = 0; minute < 15; minute++) {
      await clock.advance(60_000);
      await quiet(clock);
    }
    expect(mesh.cluster.currentResourceVersion()).toBe(before);
  });
});

describe("corrections", () => {
  const SIGNAL = { namespace: HOME, name: "drift-hello-edge" };
  const CORRELATION = "5f0e9b54-7a3a-4c37-9a55-0d4f3a3f6f11";

  async function drift(state: "delivered" | "pending"): Promise<void> {
    await mesh.cluster.create(DriftSignal, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "DriftSignal",
      metadata: SIGNAL,
      spec: {
        state,
        correlationID: CORRELATION,
        observedAt: "2026-01-10T08:00:00Z",
        affectedCRRef: { group: "seam.ontai.dev", kind: "PackDelivery", ...DELIVERY },
        driftReason: "ConfigMap apps/hello is missing",
        driftClass: "PackResources",
        packInstanceRef: INSTALLED.name,
      },
    });
  }

  it("are queued and signed once per attempt, and end with the signal", async () => {
    await mesh.start();
    await delivered();
    await drift("delivered");
    const queued = await mesh.until(DriftSignal, SIGNAL, ({ spec }) => spec.state === "queued");
    expect(queued.spec.correctionJobRef).toBe("seam-correction-hello-edge");
    const first = await mesh.untilIndex(TENANT, ({ items }) => items.some(({ kind }) => kind === "Correction"));
    expect(await correction()).toMatchObject({ serial: 1, attempt: 1, correlationId: CORRELATION });
    await mesh.cluster.patch(DriftSignal, SIGNAL, {
      type: "merge",
      body: { spec: { state: "delivered", escalationCounter: 1 } },
    });
    const second = await mesh.untilIndex(
      TENANT,
      ({ items }) => (items.find(({ kind }) => kind === "Correction")?.version ?? 0) > (first.items[0]?.version ?? 0),
    );
    expect(second.items.filter(({ kind }) => kind === "Correction")).toHaveLength(1);
    expect(await correction()).toMatchObject({ attempt: 2 });
    await mesh.cluster.patch(DriftSignal, SIGNAL, { type: "merge", body: { spec: { state: "confirmed" } } });
    await mesh.untilIndex(TENANT, ({ items }) =>
      items.some(({ kind, deleted, digest }) => kind === "Correction" && deleted === true && digest === ""),
    );
    expect((await mesh.cluster.get(PackInstalled, INSTALLED)).status?.driftCorrections).toBe(2);
  });

  it("are held while the pack is paused, and admitted when it is not any more", async () => {
    await mesh.start();
    await delivered();
    const annotate = (value: string | null): Promise<PackDelivery> =>
      mesh.cluster.patch(PackDelivery, DELIVERY, {
        type: "merge",
        body: { metadata: { annotations: { "seam.ontai.dev/paused": value } } },
      });
    await annotate("true");
    await mesh.until(PackDelivery, DELIVERY, ({ status }) => isTrue(status?.conditions, "Paused"));
    await drift("delivered");
    const held = await mesh.until(DriftSignal, SIGNAL, ({ status }) => isTrue(status?.conditions, "CorrectionHeld"));
    expect(findCondition(held.status?.conditions, "CorrectionHeld")?.reason).toBe("Paused");
    expect(held.spec.state).toBe("delivered");
    await annotate(null);
    await mesh.until(DriftSignal, SIGNAL, ({ spec }) => spec.state === "queued");
  });

  it("are not started for a signal that was not delivered to the tenant yet", async () => {
    await mesh.start();
    await delivered();
    await drift("pending");
    await mesh.publish("other", "v1.0.0", { targetClusters: [TENANT] });
    await mesh.untilIndex(TENANT, ({ items }) => items.length === 2); // everything queued before has been worked on
    expect((await mesh.cluster.get(DriftSignal, SIGNAL)).spec.state).toBe("pending");
  });

  async function correction() {
    const secret = await mesh.until(Secret, { namespace: HOME, name: "seam-correction-hello-edge" }, () => true);
    const envelope = decodeEnvelope(Buffer.from(secret.data?.["envelope"] ?? "", "base64"));
    return parseCorrection(envelope?.body ?? new Uint8Array());
  }
});

/** The machine's clock, ahead. */
function aheadBy(ms: number) {
  return {
    now: () => Date.now() + ms,
    monotonic: () => performance.now(),
    sleep: (duration: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, duration);
        signal?.addEventListener("abort", () => {
          clearTimeout(timer);
          reject(signal.reason as Error);
        });
      }),
  };
}

/** Lets everything that is due happen: clock steps and round trips to the store, until none of them changes anything. */
async function quiet(clock: ManualClock): Promise<void> {
  let before = "";
  for (let still = 0; still < 5;) {
    for (let i = 0; i < 20; i++) await mesh.cluster.list(Secret, { namespace: HOME });
    await clock.advance(200);
    const now = mesh.cluster.currentResourceVersion();
    still = now === before ? still + 1 : 0;
    before = now;
  }
}
