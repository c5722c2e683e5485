import { Nack_Class } from "../../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { type AuditRecord, auditObject } from "../../../../api/audit-record.ts";
import { PermissionSnapshot } from "../../../../api/kinds/permission-snapshot.ts";
import { snapshotName } from "../../../../api/names.ts";
import { errorMessage } from "../../../../base/errors.ts";
import { SnapshotRefused } from "../../../../permissions/snapshot/snapshot-failure.ts";
import type { ActiveSnapshot } from "../../../../permissions/store/active-snapshot.ts";
import type { PreparedSnapshot } from "../../../../permissions/store/snapshot-store.ts";
import type { ItemContext, ItemHandler, ItemOutcome } from "../../ports.ts";
import type { FloorNotice } from "../../replicas/revocation-notice.ts";
import { mirrorSnapshot } from "./snapshot-mirror.ts";
import { snapshotNack } from "./snapshot-nack.ts";
import type { SnapshotParts } from "./snapshot-parts.ts";
import { acknowledge } from "./snapshot-receipt.ts";

const DONE: ItemOutcome = { ok: true };

/**
 * Handles the item of kind PermissionSnapshot: verify and raise the floors, then persist and swap, then receipt and mirror. A
 * refused offer degrades the receipt and changes nothing else: the last good snapshot decides on. A renewed statement of the same
 * content is verified and stored as quietly as it came.
 */
export class SnapshotHandler implements ItemHandler {
  readonly kind = "PermissionSnapshot";
  readonly #parts: SnapshotParts;
  /** Verified and not yet applied: there is one such item per tenant. */
  #prepared: { readonly digest: string; readonly offer: PreparedSnapshot } | undefined;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
  }

  async verify(context: ItemContext): Promise<ItemOutcome> {
    const { item, body } = context;
    this.#prepared = undefined;
    if (item.name !== snapshotName(this.#parts.clusterId))
      return this.#refuse(new SnapshotRefused("WRONG_CLUSTER", `item ${item.name} is not this cluster's snapshot`));
    try {
      const offer = await this.#parts.store.prepare(body, () => contentOf(context));
      this.#prepared = { digest: item.digest, offer };
      return DONE;
    } catch (error) {
      if (error instanceof SnapshotRefused) return this.#refuse(error);
      throw error;
    }
  }

  async apply(context: ItemContext): Promise<ItemOutcome> {
    // A crash between the two phases lost what was prepared; the floors hold, so verifying again gives the same answer.
    if (this.#prepared?.digest !== context.item.digest) {
      const verified = await this.verify(context);
      if (!verified.ok) return verified;
    }
    const prepared = this.#prepared;
    if (prepared === undefined) return DONE;
    const active = await this.#activated(prepared.offer);
    if (active instanceof SnapshotRefused) return this.#refuse(active);
    context.waitingFor("receipt and mirror on the tenant cluster");
    await mirrorSnapshot(this.#parts, active, context.body, {
      changed: prepared.offer.kind === "activation",
      readContent: () => contentOf(context),
    });
    await acknowledge(this.#parts);
    this.#prepared = undefined;
    const { version, sequence } = active.statement;
    if (prepared.offer.kind === "activation")
      await this.#audit("snapshot.applied", { snapshotVersion: version, details: { sequence } });
    return DONE;
  }

  /** Revocations and keys do not wait between the two phases: what they caught in between is refused as if it had just come. */
  async #activated(offer: PreparedSnapshot): Promise<ActiveSnapshot | SnapshotRefused> {
    try {
      return await this.#parts.store.activate(offer);
    } catch (error) {
      this.#prepared = undefined;
      if (error instanceof SnapshotRefused) return error;
      throw error;
    }
  }

  /** Decisions rest on it from the swap on. */
  async healthy(): Promise<ItemOutcome> {
    return DONE;
  }

  /** A snapshot goes by revocation or by an empty successor, never by a tombstone: that would leave the tenant without a say. */
  async remove(context: ItemContext): Promise<ItemOutcome> {
    const detail = `${context.item.name}: a permission snapshot cannot be removed by a tombstone`;
    return {
      ok: false,
      nack: { class: Nack_Class.UNSUPPORTED, retryable: false, reason: "TombstoneUnsupported", detail },
    };
  }

  /** Raises the revocation floor; what is held under it stops deciding before this resolves. */
  async revoke(
    minSequence: number,
    notice?: () => Promise<FloorNotice>,
  ): Promise<{ readonly applied: boolean; readonly detail: string }> {
    const { store, followers } = this.#parts;
    const { dropped } = await store.revokeBelow(minSequence);
    if (dropped) {
      await this.#tell();
      await this.#audit("snapshot.revoked", { details: { sequence: minSequence } });
    }
    const reached =
      notice === undefined || followers === undefined
        ? { all: true, detail: "" }
        : await followers.revoke(notice, minSequence);
    const own = dropped ? "" : "nothing below the floor was held; the floor is stored";
    return { applied: reached.all, detail: [own, reached.detail].filter((text) => text !== "").join("; ") };
  }

  async #refuse(refused: SnapshotRefused): Promise<ItemOutcome> {
    await this.#tell();
    await this.#audit("snapshot.rejected", {
      decision: "deny",
      ...(refused.version !== "" && { snapshotVersion: refused.version }),
      code: refused.code,
      details: { message: refused.message },
    });
    return snapshotNack(refused);
  }

  /** The answer to the hub must not wait for a tenant API server that is down: the receipt follows with the next change. */
  async #tell(): Promise<void> {
    try {
      await acknowledge(this.#parts);
    } catch (error) {
      this.#parts.log.warn({ detail: errorMessage(error) }, "the snapshot receipt could not be written");
    }
  }

  #audit(action: AuditRecord["action"], fields: Partial<AuditRecord>): Promise<void> {
    const { trail, clusterId } = this.#parts;
    const about = auditObject(PermissionSnapshot, { name: snapshotName(clusterId) });
    return trail.record({ ...about, action, subject: `cluster:${clusterId}`, decision: "system", ...fields });
  }
}

/** The content blob: the spoke has fetched it and checked its digest; the store checks that it is the one the statement names. */
async function contentOf({ item, blobs }: ItemContext): Promise<Uint8Array> {
  const ref = item.refs?.[0];
  if (ref === undefined) throw new SnapshotRefused("INVALID_CONTENT", "the index item names no content");
  return blobs.read(ref.digest);
}
