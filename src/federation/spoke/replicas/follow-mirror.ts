import { ConfigMap, Lease } from "../../../api/builtin.ts";
import { PermissionSnapshot } from "../../../api/kinds/permission-snapshot.ts";
import { LABELS, NAMESPACES, snapshotName } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { type Random, jittered } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { InformerSet } from "../../../controller/cache/informer-set.ts";
import { SnapshotRefused } from "../../../permissions/snapshot/snapshot-failure.ts";
import type { SnapshotStore } from "../../../permissions/store/snapshot-store.ts";
import type { KeyLookup } from "../../../trust/dsse.ts";
import { ENVELOPE_ANNOTATION, MIRRORED, mirroredBy, mirroredContent } from "../items/snapshot/snapshot-mirror.ts";
import { FOLLOWER_RENEW_MS, followerLease, followerLeaseName } from "./follower-lease.ts";
import { REVOCATIONS_TYPE, noticedFloor } from "./revocation-notice.ts";

/** Name under which followers write their Leases. */
const FIELD_MANAGER = "conductor-follower";
/** How often the mirror is looked at without a change, milliseconds, ±10 %: what could not be read then may be read now. */
const LOOK_MS = 60_000;

/** What {@link followMirror} works with. */
export interface FollowMirrorParts {
  readonly clusterId: string;
  /** Of this replica: the pod. */
  readonly name: string;
  /** The tenant cluster. */
  readonly cluster: Cluster;
  /** This replica's own, with its own floors. */
  readonly store: SnapshotStore;
  readonly keys: KeyLookup;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A replica that follows. */
export interface FollowedMirror {
  /** Who wrote the mirror; empty while there is none. */
  leader(): string;
  /** Resolves after the mirror was looked at once. */
  readonly looked: Promise<void>;
  readonly closed: Promise<void>;
}

/**
 * Follows the mirror that the tenant's agent keeps on the tenant cluster (R-6.3, conductor §6.4). Nothing of it is believed: a statement is
 * verified again in the same order, against this replica's own floors, content against its hash, and a revocation against its signature.
 * Renewals come the same way, so that freshness and the limit offline are those of the agent.
 */
export function followMirror(parts: FollowMirrorParts): FollowedMirror {
  return new MirrorFollower(parts);
}

class MirrorFollower implements FollowedMirror {
  readonly looked: Promise<void>;
  #lookedOnce: () => void = () => {};
  readonly closed: Promise<void>;
  readonly #parts: FollowMirrorParts;
  readonly #informers: InformerSet;
  readonly #mirrors;
  readonly #revocations;
  #accepted = "";
  #told = "";
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #changed = false;
  #wake: () => void = () => {};

  constructor(parts: FollowMirrorParts) {
    this.#parts = parts;
    this.looked = new Promise((resolve) => {
      this.#lookedOnce = resolve;
    });
    this.#informers = new InformerSet(parts);
    const selected = (type: string) => ({
      namespace: NAMESPACES.ont,
      labelSelector: `${LABELS.snapshotType}=${type}`,
    });
    this.#mirrors = this.#informers.start(PermissionSnapshot, selected(MIRRORED));
    this.#revocations = this.#informers.start(ConfigMap, selected(REVOCATIONS_TYPE));
    const changed = (): void => {
      this.#changed = true;
      this.#wake();
    };
    this.#mirrors.subscribe(changed);
    this.#revocations.subscribe(changed);
    const stop = parts.store.subscribe(() => this.#wake());
    this.closed = this.#follow().finally(stop);
  }

  leader(): string {
    const mirror = this.#mirror();
    return mirror === undefined ? "" : mirroredBy(mirror);
  }

  #mirror(): PermissionSnapshot | undefined {
    return this.#mirrors.get({ namespace: NAMESPACES.ont, name: snapshotName(this.#parts.clusterId) });
  }

  async #follow(): Promise<void> {
    const { clock, signal, log, random } = this.#parts;
    await this.#informers.synced.catch(() => {
      // stopped before
    });
    let lookMs = jittered(random, LOOK_MS);
    while (!signal.aborted) {
      if (this.#changed || clock.monotonic() - this.#lookedAtMs >= lookMs) {
        this.#changed = false;
        this.#lookedAtMs = clock.monotonic();
        lookMs = jittered(random, LOOK_MS);
        await this.#look();
        this.#lookedOnce();
      }
      await this.#tell();
      if (!this.#changed) await this.#untilWoken();
    }
    await this.#parts.cluster
      .delete(Lease, { namespace: NAMESPACES.ont, name: followerLeaseName(this.#parts.name) })
      .catch((error: unknown) =>
        log.debug({ error: errorMessage(error) }, "the Lease of this replica stays; it runs out"),
      );
    await this.#informers.closed;
  }

  async #look(): Promise<void> {
    const { log, store, clusterId, keys, signal } = this.#parts;
    try {
      // First: what is revoked must not be taken in, nor answered from while the rest is read.
      for (const object of this.#revocations.list()) {
        const floor = noticedFloor(object, clusterId, keys);
        if (floor === undefined) log.warn({ configMap: object.metadata.name }, "proves no revocation; ignored");
        else if (floor > store.floor.minimumSequence) await store.revokeBelow(floor);
      }
      await this.#takeIn();
    } catch (error) {
      // Told by the store, with its code; what is held answers on.
      if (error instanceof SnapshotRefused || signal.aborted) return;
      log.warn({ error: errorMessage(error) }, "the mirror of the permission snapshot could not be read; tried again");
    }
  }

  async #takeIn(): Promise<void> {
    const { store, cluster } = this.#parts;
    const mirror = this.#mirror();
    const envelope = mirror?.metadata.annotations?.[ENVELOPE_ANNOTATION];
    if (mirror === undefined || envelope === undefined || envelope === this.#accepted) return;
    const offer = await store.prepare(Buffer.from(envelope), () => mirroredContent(cluster, mirror));
    // However long it lay in the mirror counts: nobody renewed it since.
    await store.activate(offer, true);
    this.#accepted = envelope;
  }

  /** Says what is in force here: at once when it is another, and from time to time. */
  async #tell(): Promise<void> {
    const { cluster, clusterId, name, store, clock, log } = this.#parts;
    const word = { name, floor: store.floor.minimumSequence, version: store.current?.statement.version ?? "" };
    const text = JSON.stringify(word);
    if (text === this.#told && clock.monotonic() - this.#toldAtMs < FOLLOWER_RENEW_MS) return;
    try {
      await cluster.patch(
        Lease,
        { namespace: NAMESPACES.ont, name: followerLeaseName(name) },
        { type: "apply", body: followerLease(clusterId, word, clock.now()) },
        { fieldManager: FIELD_MANAGER, force: true },
      );
      this.#told = text;
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "the agent does not hear of this replica");
    }
    this.#toldAtMs = clock.monotonic();
  }

  async #untilWoken(): Promise<void> {
    const { clock, signal } = this.#parts;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await clock.sleep(FOLLOWER_RENEW_MS, AbortSignal.any([signal, woken.signal])).catch(() => {
      // something changed, or the replica stops
    });
  }
}
