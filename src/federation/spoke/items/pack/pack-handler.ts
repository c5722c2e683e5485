import type { DeployedResourceRef } from "../../../../api/kinds/deployed-resource-ref.ts";
import { errorMessage, SeamError } from "../../../../base/errors.ts";
import { isDigest } from "../../../../base/digest.ts";
import { applyPack, awaitPackReady } from "../../../../packs/apply/apply-pack.ts";
import type { ApplyParts, PackApplication } from "../../../../packs/apply/pack-application.ts";
import { prune } from "../../../../packs/apply/prune.ts";
import { removePack } from "../../../../packs/apply/remove-pack.ts";
import type { PackBlobReader } from "../../../../packs/artifact/pack-blob-reader.ts";
import { readPack } from "../../../../packs/artifact/read-pack.ts";
import { unionInventory } from "../../../../packs/inventory/inventory.ts";
import type { PackManifest } from "../../../../packs/manifest/pack-manifest.ts";
import { parseTombstone, type Tombstone } from "../../../../packs/manifest/tombstone.ts";
import { plannedInventory } from "../../../../packs/order/execution-order.ts";
import { PAYLOAD_TYPES } from "../../../../trust/dsse.ts";
import { judgeOrdering, type OrderingValue } from "../../../../trust/floors/ordering.ts";
import type { ItemContext, ItemHandler, ItemOutcome } from "../../ports.ts";
import type { HeldPack } from "./held-packs.ts";
import { markRevoked, revokedRefusal } from "./revoke-pack.ts";
import { DONE, type Refusal, refuse, refuseApply, refuseContent } from "./nacks.ts";
import { receiptReport, removedReport } from "./receipt-report.ts";
import { DEFAULT_DEPLOY_TIMEOUT_SECONDS, floorName, PACK_EPOCH, type TenantPackParts } from "./tenant-pack-parts.ts";
import { checkInventory, readManifestFor, verifySigned } from "./verify-manifest.ts";

/** Handles items of kind PackInstalled: verify, apply, wait, prune, remove (conductor §7, dispatcher §8). */
export class PackHandler implements ItemHandler {
  readonly kind = "PackInstalled";
  readonly #parts: TenantPackParts;

  constructor(parts: TenantPackParts) {
    this.#parts = parts;
  }

  async verify(context: ItemContext): Promise<ItemOutcome> {
    const { item } = context;
    const signed = verifySigned(context.body, PAYLOAD_TYPES.packInstalled, this.#parts.keys);
    if (!signed.ok) return this.#refused(context, signed);
    let manifest: PackManifest;
    try {
      manifest = readManifestFor(signed.body, context.cluster, item.name);
    } catch (error) {
      return this.#refused(context, refuseBody(error));
    }
    const offered = { epoch: PACK_EPOCH, sequence: manifest.serial, digest: signed.bodyDigest };
    const early = judgeOrdering(this.#parts.floors.get(floorName(item.name)), offered);
    if (early.verdict === "refused")
      return this.#refused(context, refuse("UNTRUSTED", early.code, early.detail), manifest);
    const blobs = blobReader(context);
    try {
      const pack = await readPack(blobs, manifest.artifact);
      checkInventory(manifest, pack.documents);
      await this.#parts.held.accept(item.name, context.body, pack.refs, blobs);
      const refusal = await this.#accept(item.name, offered);
      if (refusal !== undefined) return await this.#refused(context, refusal, manifest);
      const old = (await this.#parts.receipts.get(item.name))?.spec.deployedResources ?? [];
      const planned = unionInventory(old, plannedInventory(pack.documents, manifest.executionOrder));
      await this.#parts.receipts.writeSpec(item.name, this.#parts.receipts.specOf(manifest, item.digest, planned));
    } catch (error) {
      if (context.signal.aborted) throw error;
      return this.#refused(context, refuseContent(error), manifest);
    }
    await markRevoked(this.#parts, item.name);
    await this.#say(item.name, {
      fields: {
        verified: true,
        signature: signed.signature,
        keyId: signed.keyId,
        verificationFailedReason: undefined,
        deliveryState: "Verified",
      },
      conditions: [
        {
          type: "Verified",
          status: "True",
          reason: "SignatureVerified",
          message: `serial ${manifest.serial}, version ${manifest.version}`,
        },
      ],
    });
    return DONE;
  }

  async apply(context: ItemContext): Promise<ItemOutcome> {
    const { name } = context.item;
    const revoked = revokedRefusal(this.#parts, name);
    if (revoked !== undefined) return this.#refused(context, revoked);
    const pack = await this.#parts.held.load(name, "accepted");
    if (pack === undefined) return refuse("INTERNAL", "PackNotHeld", "the verified pack is not held any more", true);
    const outcome = await this.#parts.attempts.run(name, (stopped) => this.applyHeld(pack, context, stopped));
    await this.#parts.attempts.ended({ packInstalled: name });
    if (!outcome.ok) return outcome;
    await this.#say(name, { fields: { deliveryState: "Applied" } });
    return DONE;
  }

  async healthy(context: ItemContext): Promise<ItemOutcome> {
    const { name } = context.item;
    const revoked = revokedRefusal(this.#parts, name);
    if (revoked !== undefined) return this.#refused(context, revoked);
    const pack = await this.#parts.held.load(name, "accepted");
    const receipt = await this.#parts.receipts.get(name);
    if (pack === undefined || receipt === undefined)
      return refuse("INTERNAL", "PackNotHeld", "the applied pack is not held any more", true);
    const parts = this.applyParts(context);
    const { manifest, documents } = pack;
    try {
      const inventory = receipt.spec.deployedResources ?? [];
      await awaitPackReady(parts, name, documents, inventory, timeoutMs(manifest));
      await this.#parts.attempts.run(name, () => this.#prune(parts, pack, context.item.digest));
    } catch (error) {
      if (context.signal.aborted) throw error;
      const refusal = refuseApply(error);
      await this.#say(name, { fields: { deliveryState: refusal.nack.detail } });
      // Workloads may still recover: what failed to become ready is looked at again.
      return { ok: false, nack: { ...refusal.nack, retryable: true } };
    }
    const deliveredAt = new Date(this.#parts.clock.now()).toISOString();
    await this.#say(name, {
      fields: { deliveryState: "Healthy", deliveredAt },
      conditions: [
        { type: "Delivered", status: "True", reason: "PackHealthy", message: `version ${manifest.version}` },
      ],
    });
    return DONE;
  }

  async remove(context: ItemContext): Promise<ItemOutcome> {
    const { name } = context.item;
    const { receipts, held, attempts, facts } = this.#parts;
    if (context.body.length === 0 && (await receipts.get(name)) === undefined) return DONE;
    const signed = verifySigned(context.body, PAYLOAD_TYPES.tombstone, this.#parts.keys);
    if (!signed.ok) return signed;
    let tombstone: Tombstone;
    try {
      tombstone = parseTombstone(signed.body);
    } catch (error) {
      return refuseBody(error);
    }
    const wrong = await this.#wrongTombstone(tombstone, context);
    if (wrong !== undefined) return wrong;
    const offered = { epoch: PACK_EPOCH, sequence: tombstone.serial, digest: signed.bodyDigest };
    const refusal = await this.#accept(name, offered);
    if (refusal !== undefined) return refusal;
    const outcome = await attempts.run(name, () => this.#removeWorkloads(tombstone, context));
    if (!outcome.ok) return outcome;
    const receipt = await receipts.get(name);
    await facts.packReceipt(
      removedReport(name, { clusterPackRef: receipt?.spec.clusterPackRef ?? "", serial: tombstone.serial }),
    );
    await receipts.delete(name);
    await held.forget(name);
    await attempts.ended({ packInstalled: name });
    return DONE;
  }

  /** Brings a held pack onto the tenant; the caller holds the pack's attempt. */
  async applyHeld(
    pack: HeldPack,
    context: Pick<ItemContext, "signal" | "waitingFor">,
    stopped: AbortSignal,
  ): Promise<ItemOutcome> {
    const { manifest, documents } = pack;
    const { minimumSequence } = this.#parts.floors.get(floorName(manifest.name));
    // It waited for its turn meanwhile.
    if (manifest.serial < minimumSequence) return refuseRevoked(manifest.serial, minimumSequence);
    const signal = AbortSignal.any([context.signal, stopped]);
    const { receipts, held } = this.#parts;
    const receipt = await receipts.get(manifest.name);
    const spec = receipt?.spec ?? receipts.specOf(manifest, "", []);
    try {
      await applyPack(this.applyParts({ signal, waitingFor: (text) => context.waitingFor(text) }), {
        ...applicationOf(manifest),
        documents,
        inventory: receipt?.spec.deployedResources ?? [],
        record: (inventory) => receipts.recordInventory(manifest.name, spec, inventory),
        timeoutMs: timeoutMs(manifest),
      });
      await held.applied(manifest.name);
      return DONE;
    } catch (error) {
      if (context.signal.aborted) throw error;
      const refusal = stopped.aborted
        ? refuseRevoked(manifest.serial, this.#parts.floors.get(floorName(manifest.name)).minimumSequence)
        : refuseApply(error);
      this.#parts.log.warn(
        { pack: manifest.name, reason: refusal.nack.reason, error: errorMessage(error) },
        "pack not applied",
      );
      await this.#say(manifest.name, { fields: { deliveryState: refusal.nack.detail } });
      return refusal;
    }
  }

  /** Apply parts that report to an item. */
  applyParts(context: Pick<ItemContext, "signal" | "waitingFor">): ApplyParts {
    const { cluster, clock, random, log } = this.#parts;
    return { cluster, clock, random, log, signal: context.signal, waitingFor: (text) => context.waitingFor(text) };
  }

  async #prune(parts: ApplyParts, pack: HeldPack, digest: string): Promise<void> {
    const { manifest, documents } = pack;
    const receipt = await this.#parts.receipts.get(manifest.name);
    const inventory = receipt?.spec.deployedResources ?? [];
    const next = plannedInventory(documents, manifest.executionOrder);
    const result = await prune(parts, manifest.name, manifest.lifecyclePolicies, inventory, next);
    const spec = receipt?.spec ?? this.#parts.receipts.specOf(manifest, digest, inventory);
    await this.#parts.receipts.recordInventory(manifest.name, spec, result.inventory);
    for (const { object, reason } of [...result.failures, ...result.skipped])
      this.#parts.log.info({ pack: manifest.name, object, reason }, "an object that left the pack was kept");
  }

  async #removeWorkloads(tombstone: Tombstone, context: ItemContext): Promise<ItemOutcome> {
    const inventory: readonly DeployedResourceRef[] =
      (await this.#parts.receipts.get(tombstone.name))?.spec.deployedResources ?? [];
    const result = await removePack(this.applyParts(context), tombstone.name, tombstone.lifecyclePolicies, inventory);
    const [first] = result.failures;
    if (first === undefined) return DONE;
    return refuse(
      "INTERNAL",
      "RemovalIncomplete",
      `${result.failures.length} objects could not be removed, first ${first.object}: ${first.reason}`,
      true,
    );
  }

  async #wrongTombstone(tombstone: Tombstone, context: ItemContext): Promise<Refusal | undefined> {
    if (tombstone.cluster !== context.cluster)
      return refuse("UNTRUSTED", "WRONG_CLUSTER", `the tombstone is for cluster ${tombstone.cluster}`);
    if (tombstone.kind !== this.kind || tombstone.name !== context.item.name)
      return refuse("UNTRUSTED", "WRONG_ITEM", `the tombstone is for ${tombstone.kind} ${tombstone.name}`);
    const accepted = await this.#parts.held.load(tombstone.name, "accepted").catch(() => {
      // A damaged copy must not keep a pack on the tenant for ever; serial and signature still decide.
      return undefined;
    });
    if (accepted !== undefined && accepted.manifest.uid !== tombstone.uid)
      return refuse(
        "UNTRUSTED",
        "WRONG_UID",
        `the tombstone is for uid ${tombstone.uid}, held is ${accepted.manifest.uid}`,
      );
    return undefined;
  }

  /** Raises the floor durably; a refusal when something newer was accepted meanwhile. */
  async #accept(name: string, offered: OrderingValue): Promise<Refusal | undefined> {
    const verdict = await this.#parts.floors.accept(floorName(name), offered);
    return verdict.verdict === "refused" ? refuse("UNTRUSTED", verdict.code, verdict.detail) : undefined;
  }

  /** Records a refusal in the receipt and reports it; what was applied stays as it is. */
  async #refused(context: ItemContext, refusal: Refusal, manifest?: PackManifest): Promise<Refusal> {
    const { name } = context.item;
    const { reason, detail, retryable } = refusal.nack;
    this.#parts.log.warn({ pack: name, reason, detail }, "pack refused");
    if (retryable) return refusal;
    if ((await this.#parts.receipts.get(name)) === undefined) {
      await this.#parts.receipts.writeSpec(name, {
        clusterPackRef: manifest?.clusterPackRef ?? name,
        targetClusterRef: context.cluster,
        packInstanceRef: name,
      });
    }
    await this.#say(name, {
      fields: { verified: false, verificationFailedReason: reason, deliveryState: detail },
      conditions: [
        { type: "Verified", status: "False", reason: "SignatureVerifyFailed", message: `${reason}: ${detail}` },
      ],
    });
    return refusal;
  }

  async #say(name: string, change: Parameters<TenantPackParts["receipts"]["changeStatus"]>[1]): Promise<void> {
    const written = await this.#parts.receipts.changeStatus(name, change);
    // Reported even when nothing was written: a crash may have come between the write and the report. The outbox drops repetitions.
    if (written !== undefined) await this.#parts.facts.packReceipt(receiptReport(written.receipt));
  }
}

/** The apply engine's view of a manifest. */
export function applicationOf(manifest: PackManifest): PackApplication {
  return {
    packInstalled: manifest.name,
    pack: manifest.clusterPackRef,
    version: manifest.version,
    lifecyclePolicies: manifest.lifecyclePolicies,
    ...(manifest.executionOrder === undefined ? {} : { executionOrder: manifest.executionOrder }),
  };
}

/** Budget of a manifest, milliseconds. */
export function timeoutMs(manifest: PackManifest): number {
  return (manifest.deployTimeoutSeconds ?? DEFAULT_DEPLOY_TIMEOUT_SECONDS) * 1000;
}

function refuseRevoked(serial: number, floor: number): Refusal {
  return refuse("UNTRUSTED", "REVOKED", `serial ${serial} is below the revocation floor ${floor}`);
}

function refuseBody(error: unknown): Refusal {
  if (!(error instanceof SeamError)) return refuse("INTERNAL", "BodyUnreadable", errorMessage(error), true);
  const untrusted = error.reason === "WRONG_CLUSTER" || error.reason === "WRONG_ITEM";
  return refuse(untrusted ? "UNTRUSTED" : "INVALID", error.reason, error.message);
}

/** The item's held bodies as the artifact reader wants them. */
function blobReader(context: ItemContext): PackBlobReader {
  return {
    get: async (digest) => {
      if (!isDigest(digest))
        throw new SeamError({ reason: "ManifestInvalid", object: String(digest), expected: "is a digest" });
      if (!(context.item.refs ?? []).some((ref) => ref.digest === digest))
        throw new SeamError({
          reason: "ContentMismatch",
          object: `item ${context.item.name}`,
          expected: `names every blob of its pack in refs, ${digest} is missing`,
        });
      return context.blobs.read(digest);
    },
  };
}
