import type { Clock } from "../base/clock.ts";
import { errorMessage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { type Random, jittered } from "../base/random.ts";
import { Lease, type LeaseObject } from "../api/builtin.ts";
import { isStatus } from "../cluster/api-status-error.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { ifPresent } from "../cluster/if-present.ts";

/** Options of {@link startLeaderElection}. */
export interface LeaderElectionOptions {
  readonly cluster: Cluster;
  readonly namespace: string;
  /** Name of the Lease, for example `conductor-{cluster}`. */
  readonly name: string;
  /** Pod name or another name that no other candidate has. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called with true after this candidate became leader and with false as soon as it no longer is. */
  readonly onChange?: (leading: boolean) => void;
}

/** A candidate. */
export interface LeaderElection {
  /** True while this candidate holds the lease. */
  readonly leading: boolean;
  /** `leaseTransitions` of the lease while leading: rises whenever leadership moves. */
  readonly term: number | undefined;
  /** Resolves when this candidate leads; rejects with the signal's reason when stopped before. */
  lead(): Promise<void>;
  /**
   * Fencing check before every leader-only write batch: the lease was renewed less than `leaseDuration - 3 s` ago by this
   * process's monotonic clock.
   *
   * @throws NotLeading
   */
  assertFenced(): void;
  /** Resolves when the signal has aborted and the lease is released. */
  readonly closed: Promise<void>;
}

/** A leader-only write was attempted without a fresh lease. */
export class NotLeading extends Error {
  override readonly name = "NotLeading";
}

/** Conductor §3. */
export const LEASE_DURATION_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_PERIOD_MS = 2_000;
const FENCE_MARGIN_MS = 3_000;

/** Starts a candidate on a Lease object. */
export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  return new Candidate(options);
}

/** `metav1.MicroTime`: RFC 3339 with exactly six fractional digits. */
export function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}

class Candidate implements LeaderElection {
  readonly closed: Promise<void>;
  readonly #options: LeaderElectionOptions;
  #held: LeaseObject | undefined;
  /** Monotonic time before the request that renewed last. */
  #renewedMs = 0;
  /** What the lease of another said, and when this process first saw it say so: expiry by our own clock, never by theirs. */
  #seen: { readonly resourceVersion: string | undefined; readonly atMs: number } | undefined;
  readonly #waiters: { readonly resolve: () => void; readonly reject: (reason: unknown) => void }[] = [];

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.closed = this.#run();
  }

  get leading(): boolean {
    return this.#held !== undefined;
  }

  get term(): number | undefined {
    return this.#held?.spec?.leaseTransitions;
  }

  lead(): Promise<void> {
    if (this.leading) return Promise.resolve();
    const { signal } = this.#options;
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  assertFenced(): void {
    const age = this.#options.clock.monotonic() - this.#renewedMs;
    if (this.#held === undefined || age >= LEASE_DURATION_MS - FENCE_MARGIN_MS)
      throw new NotLeading(
        `lease ${this.#options.namespace}/${this.#options.name} is not held or was not renewed in time`,
      );
  }

  async #run(): Promise<void> {
    const { clock, random, signal, log } = this.#options;
    while (!signal.aborted) {
      try {
        await (this.#held === undefined ? this.#acquire() : this.#renew(this.#held));
      } catch (error) {
        log.warn({ lease: this.#options.name, error: errorMessage(error) }, "lease request failed");
      }
      if (this.#held !== undefined && clock.monotonic() - this.#renewedMs >= RENEW_DEADLINE_MS)
        this.#lose("not renewed in time");
      try {
        await clock.sleep(jittered(random, RETRY_PERIOD_MS, 0.2), signal);
      } catch {
        break; // aborted while waiting: that is the way to stop
      }
    }
    for (const waiter of this.#waiters.splice(0)) waiter.reject(signal.reason);
    await this.#release();
  }

  async #acquire(): Promise<void> {
    const { cluster, namespace, name, identity, clock } = this.#options;
    const started = clock.monotonic();
    let lease: LeaseObject;
    try {
      lease = await cluster.get(Lease, { namespace, name });
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
      const created = await this.#tolerateConflict(() =>
        cluster.create(Lease, { ...this.#object(0), metadata: { namespace, name } }, { fieldManager: identity }),
      );
      if (created !== undefined) this.#take(created, started);
      return;
    }
    const holder = lease.spec?.holderIdentity ?? "";
    if (holder !== "" && holder !== identity) {
      if (this.#seen === undefined || this.#seen.resourceVersion !== lease.metadata.resourceVersion) {
        this.#seen = { resourceVersion: lease.metadata.resourceVersion, atMs: started };
        return;
      }
      const durationMs = (lease.spec?.leaseDurationSeconds ?? LEASE_DURATION_MS / 1000) * 1000;
      if (started - this.#seen.atMs < durationMs) return;
    }
    const transitions = (lease.spec?.leaseTransitions ?? 0) + 1;
    const updated = await this.#tolerateConflict(() =>
      cluster.update(Lease, { ...lease, spec: this.#object(transitions).spec ?? {} }, { fieldManager: identity }),
    );
    if (updated !== undefined) this.#take(updated, started);
  }

  async #renew(held: LeaseObject): Promise<void> {
    const { cluster, identity, clock } = this.#options;
    const started = clock.monotonic();
    try {
      const renewed = await cluster.update(
        Lease,
        { ...held, spec: { ...held.spec, renewTime: microTime(clock.now()) } },
        { fieldManager: identity },
      );
      this.#held = renewed;
      this.#renewedMs = started;
    } catch (error) {
      if (!isStatus(error, "Conflict", "NotFound")) throw error;
      const current = await this.#currentHolder();
      if (current?.spec?.holderIdentity === identity) this.#held = current;
      else this.#lose(`now held by ${current?.spec?.holderIdentity ?? "nobody"}`);
    }
  }

  async #currentHolder(): Promise<LeaseObject | undefined> {
    const { cluster, namespace, name } = this.#options;
    return ifPresent(cluster.get(Lease, { namespace, name }));
  }

  /** Another candidate was quicker: not a failure. */
  async #tolerateConflict(write: () => Promise<LeaseObject>): Promise<LeaseObject | undefined> {
    try {
      return await write();
    } catch (error) {
      if (isStatus(error, "Conflict", "AlreadyExists")) return undefined;
      throw error;
    }
  }

  #object(transitions: number): LeaseObject {
    const now = microTime(this.#options.clock.now());
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: this.#options.name, namespace: this.#options.namespace },
      spec: {
        holderIdentity: this.#options.identity,
        leaseDurationSeconds: LEASE_DURATION_MS / 1000,
        acquireTime: now,
        renewTime: now,
        leaseTransitions: transitions,
      },
    };
  }

  #take(lease: LeaseObject, requestedMs: number): void {
    if (this.#options.signal.aborted) {
      this.#held = lease; // release gives it back
      return;
    }
    this.#held = lease;
    this.#renewedMs = requestedMs;
    this.#seen = undefined;
    this.#options.log.info({ lease: this.#options.name, term: this.term }, "became leader");
    this.#options.onChange?.(true);
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  #lose(reason: string): void {
    this.#held = undefined;
    this.#options.log.warn({ lease: this.#options.name, reason }, "lost leadership");
    this.#options.onChange?.(false);
  }

  /** Gives the lease back so that the next candidate need not wait for its expiry (conductor §3). */
  async #release(): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#options.onChange?.(false);
    try {
      await this.#options.cluster.update(
        Lease,
        { ...held, spec: { ...held.spec, holderIdentity: "", leaseDurationSeconds: 1 } },
        { fieldManager: this.#options.identity },
      );
    } catch (error) {
      this.#options.log.debug(
        { lease: this.#options.name, error: errorMessage(error) },
        "lease not released; it expires",
      );
    }
  }
}
