import type { AuditTrail } from "../../../api/audit-record.ts";
import { type BackoffPolicy, fullJitter } from "../../../base/backoff.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { IndexRevocation } from "../../index/index-document.ts";
import type { RevocationBody } from "../../revocation/revocation-body.ts";
import { markRevoked, revokePack } from "../items/pack/revoke-pack.ts";
import { type TenantPackParts, packOfFloor } from "../items/pack/tenant-pack-parts.ts";
import type { FloorNotice } from "../replicas/revocation-notice.ts";
import type { SpokeEvents } from "../ports.ts";

/** Backoff between attempts to write a receipt. */
const RECEIPT_RETRY: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 60_000 };

/** Longest that replicas that are heard of and do not confirm hold an index back, milliseconds. */
const FOLLOWERS_HOLD_MS = 60_000;

/** What puts revocations in force on a tenant. */
export interface TenantRevocationParts {
  readonly packs: TenantPackParts;
  /** Raises the floor of the permission snapshot; what is held under it stops deciding before this resolves. */
  readonly snapshots: {
    revoke(
      minSequence: number,
      notice?: () => Promise<FloorNotice>,
    ): Promise<{ readonly applied: boolean; readonly detail: string }>;
  };
  /** The cluster's audit log. */
  readonly trail: AuditTrail;
  readonly signal: AbortSignal;
}

/** {@link SpokeEvents} of revocations over the tenant's packs and permission snapshot. */
export interface TenantRevocations extends Pick<SpokeEvents, "revoke" | "enforceFloors"> {
  /** Resolves when nothing is written any more. */
  readonly closed: Promise<void>;
}

/**
 * Puts revocations in force: floors and local caches at once, which is what the acknowledgement stands for; receipts afterwards, since
 * they are for people and a tenant API server that is down must not keep a revocation from taking effect. What a crash left unsaid is
 * said at start, from the floors.
 */
export function startTenantRevocations(parts: TenantRevocationParts): TenantRevocations {
  const { packs, snapshots, trail, signal } = parts;
  const receipts = new RevokedReceipts(packs, signal);
  for (const name of packs.floors.revoked().keys()) {
    const pack = packOfFloor(name);
    if (pack !== undefined) receipts.mark(pack);
  }
  const revokeInstalled = async (name: string, floor: number): Promise<void> => {
    await revokePack(packs, name, floor);
    receipts.mark(name);
  };
  const putInForce = async ({ target, name, minSerial, minSequence }: RevocationBody, envelope: Uint8Array) => {
    switch (target) {
      case "PackInstalled":
        await revokeInstalled(name, minSerial);
        return { applied: true, detail: "" };
      case "PermissionSnapshot":
      case "Cluster":
        // A cluster that is cut off answers no more questions; a later snapshot would have to come over a stream it does not get.
        return snapshots.revoke(minSequence, () => Promise.resolve({ kind: "revocation", envelope }));
    }
  };
  /** When a floor was first found not to be confirmed by every replica; bounded by one. */
  let waited: { readonly floor: number; readonly sinceMs: number } | undefined;
  /** An accepted index proves that its floors hold, on the replicas that follow, too: it waits for them, but not for ever. */
  const raiseSnapshotFloor = async (floor: number, signedIndex: () => Promise<Uint8Array>): Promise<void> => {
    const { clock, log } = packs;
    const { applied, detail } = await snapshots.revoke(floor, async () => ({
      kind: "index",
      envelope: await signedIndex(),
    }));
    if (applied) return;
    if (waited?.floor !== floor) waited = { floor, sinceMs: clock.monotonic() };
    if (clock.monotonic() - waited.sinceMs < FOLLOWERS_HOLD_MS) throw new Error(detail);
    log.error({ floor, detail }, "replicas that follow do not confirm a revocation; the index goes on without them");
  };
  return {
    closed: receipts.closed,
    async revoke(revocation: RevocationBody, envelope: Uint8Array) {
      const outcome = await putInForce(revocation, envelope);
      const { cluster, target, name, namespace, serial, revocationId, reason } = revocation;
      await trail.record({
        action: "revocation.applied",
        decision: "system",
        subject: `cluster:${cluster}`,
        resource: name,
        ...(namespace !== "" && { namespace }),
        kind: target,
        code: outcome.applied ? "Applied" : "Failed",
        details: { revocationId, serial, reason, ...(outcome.detail !== "" && { detail: outcome.detail }) },
      });
      return outcome;
    },
    async enforceFloors(floors: readonly IndexRevocation[], signedIndex: () => Promise<Uint8Array>) {
      await Promise.all(
        floors.map(({ target, name, floor }) =>
          target === "PackInstalled" ? revokeInstalled(name, floor) : raiseSnapshotFloor(floor, signedIndex),
        ),
      );
    },
  };
}

/** Writes `Revoked` into receipts, one after the other, until it is written. */
class RevokedReceipts {
  readonly closed: Promise<void>;
  readonly #packs: TenantPackParts;
  readonly #signal: AbortSignal;
  /** Bounded by the floors of one tenant. */
  readonly #waiting = new Set<string>();
  #writing = false;
  #drained: Promise<void> = Promise.resolve();

  constructor(packs: TenantPackParts, signal: AbortSignal) {
    this.#packs = packs;
    this.#signal = signal;
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    this.closed = aborted.then(() => this.#drained);
  }

  mark(pack: string): void {
    this.#waiting.add(pack);
    if (!this.#writing) this.#drained = this.#drain();
  }

  async #drain(): Promise<void> {
    this.#writing = true;
    const { clock, random, log } = this.#packs;
    let failures = 0;
    for (const pack of this.#waiting) {
      if (this.#signal.aborted) break;
      this.#waiting.delete(pack);
      try {
        await markRevoked(this.#packs, pack);
        failures = 0;
      } catch (error) {
        this.#waiting.add(pack);
        log.warn({ pack, error: errorMessage(error) }, "a receipt does not say yet that its pack is revoked");
        const delayMs = RECEIPT_RETRY.baseMs + fullJitter(RECEIPT_RETRY, failures++, random);
        await clock.sleep(delayMs, this.#signal).catch(() => {
          // the agent stops; at its next start the floors say it again
        });
      }
    }
    this.#writing = false;
  }
}
