import { Lease, type LeaseObject } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { type Metrics } from "../../../base/metrics.ts";
import { type Random, jittered } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { MembershipState } from "./membership-state.ts";
import { MEMBERSHIP_TIMES, type MembershipTimes } from "./membership-times.ts";
import {
  type ReplicaFacts,
  type ReplicaRecord,
  membershipLeaseName,
  newMembershipLease,
  renewed,
  takenOver,
} from "./replica-record.ts";

const MANAGER = "conductor-hub";

/** Options of {@link startReplicaMembership}. */
export interface ReplicaMembershipOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** Name of this replica: that of its pod. */
  readonly replica: string;
  /** New at each start of the process. */
  readonly process: string;
  /** What the others are told at each renewal. */
  readonly facts: () => Omit<ReplicaFacts, "draining">;
  readonly times?: MembershipTimes;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** This replica's own membership. */
export interface ReplicaMembership {
  /**
   * True while this replica may serve: it renewed its membership lately, by its own monotonic clock. Cheap and never stale: a process
   * that was stopped and goes on is told the truth at its first question.
   */
  valid(): boolean;
  /** Identity of the present membership, which ownerships name. Another one after every loss. */
  readonly identity: string;
  /** Calls `listener` with false as soon as the membership is lost and with true when there is one again. Returns the way to stop. */
  subscribe(listener: (valid: boolean) => void): () => void;
  /** Tells the others that this replica stops. Resolves when they can know it, or after one request's time. */
  drain(): Promise<void>;
  /** Resolves when the signal has aborted and the membership is given back. */
  readonly closed: Promise<void>;
}

/**
 * Joins the replicas of the hub: one Lease `hub-replica-{name}` in `ont-system`, renewed by this replica alone, so that writes to the
 * API server grow with replicas and not with tenants (architecture §6.4). Resolves when this replica is a member.
 *
 * @throws the signal's reason when stopped before
 */
export async function startReplicaMembership(options: ReplicaMembershipOptions): Promise<ReplicaMembership> {
  const membership = new Membership(options);
  await membership.joined;
  return membership;
}

class Membership implements ReplicaMembership {
  readonly joined: Promise<void>;
  readonly closed: Promise<void>;
  readonly #options: ReplicaMembershipOptions;
  readonly #times: MembershipTimes;
  readonly #listeners = new Set<(valid: boolean) => void>();
  readonly #join = Promise.withResolvers<void>();
  readonly #state: MembershipState;
  /** The Lease as this membership wrote it last; undefined while there is no membership. */
  #held: LeaseObject | undefined;
  #draining = false;
  /** Who has the name now and since when it was seen unchanged: a name that another process took is waited for. */
  #other: { readonly resourceVersion: string; readonly atMs: number } | undefined;
  #everJoined = false;
  #wake = new AbortController();

  constructor(options: ReplicaMembershipOptions) {
    this.#options = options;
    this.#times = options.times ?? MEMBERSHIP_TIMES;
    this.#state = new MembershipState(options.replica, options.process, this.#times.serveMs);
    this.joined = this.#join.promise;
    this.joined.catch(() => {
      // the caller of start has it
    });
    this.closed = this.#run();
  }

  get identity(): string {
    return this.#state.identity;
  }

  valid(): boolean {
    if (this.#state.look(this.#options.clock.monotonic()) === "ended")
      this.#lost(`not renewed for ${this.#times.serveMs} ms`);
    return this.#state.member;
  }

  subscribe(listener: (valid: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async drain(): Promise<void> {
    this.#draining = true;
    if (this.valid()) await this.#attempt();
  }

  async #run(): Promise<void> {
    const { clock, random, signal } = this.#options;
    const watching = this.#watch();
    while (!signal.aborted) {
      await this.#attempt();
      if (signal.aborted) break;
      this.#wake = new AbortController();
      const pauseMs = jittered(random, this.#held === undefined ? this.#times.renewMs / 2 : this.#times.renewMs, 0.1);
      await clock.sleep(pauseMs, AbortSignal.any([signal, this.#wake.signal])).catch(() => {
        // stopped, or lost meanwhile
      });
    }
    this.#join.reject(signal.reason);
    await watching;
    await this.#leave();
  }

  /** Notices the end of the membership when nobody asks. */
  async #watch(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      const leftMs = this.valid() ? this.#state.endsMs - clock.monotonic() : this.#times.renewMs;
      await clock.sleep(Math.max(1, leftMs), signal).catch(() => {
        // stopped
      });
    }
  }

  /** One attempt to renew or to join, at most `requestMs` long. Never throws. */
  async #attempt(): Promise<void> {
    const { clock, log, metrics } = this.#options;
    const timer = new AbortController();
    const late = clock.sleep(this.#times.requestMs, timer.signal).then(
      () => {
        throw new Error(`no answer of the API server within ${this.#times.requestMs} ms`);
      },
      () => undefined, // the answer came first
    );
    try {
      // An answer that comes later still counts when it comes: see #renew and #enter.
      await Promise.race([this.#held === undefined ? this.#enter() : this.#renew(this.#held), late]);
    } catch (error) {
      metrics.count("federation_membership_failures_total");
      log.warn({ error: errorMessage(error) }, "membership could not be renewed");
    } finally {
      timer.abort();
      await late.catch(() => undefined); // reported above
    }
  }

  async #renew(held: LeaseObject): Promise<void> {
    const { cluster, clock } = this.#options;
    const startedMs = clock.monotonic();
    const { identity } = this.#state;
    try {
      this.#renewed(
        await cluster.update(Lease, renewed(held, this.#record(), clock.now()), { fieldManager: MANAGER }),
        identity,
        startedMs,
      );
    } catch (error) {
      if (!isStatus(error, "Conflict", "NotFound")) throw error;
      const now = await ifPresent(cluster.get(Lease, this.#key));
      if (this.#state.identity !== identity) return; // lost meanwhile
      if (now?.spec?.holderIdentity === identity) {
        // An earlier answer was late, or a person edited the Lease: go on from what stands there.
        this.#renewed(
          await cluster.update(Lease, renewed(now, this.#record(), clock.now()), { fieldManager: MANAGER }),
          identity,
          startedMs,
        );
        return;
      }
      if (this.#state.end() === "ended")
        this.#lost(now === undefined ? "its Lease was deleted" : `its name is now held by ${now.spec?.holderIdentity}`);
    }
  }

  async #enter(): Promise<void> {
    const { cluster, clock } = this.#options;
    const startedMs = clock.monotonic();
    const { identity } = this.#state;
    const lease = await ifPresent(cluster.get(Lease, this.#key));
    if (lease !== undefined && this.#mustWaitFor(lease, startedMs)) return;
    try {
      const written =
        lease === undefined
          ? await cluster.create(Lease, newMembershipLease(this.#record(), clock.now()), { fieldManager: MANAGER })
          : await cluster.update(Lease, takenOver(lease, this.#record(), clock.now()), { fieldManager: MANAGER });
      this.#renewed(written, identity, startedMs);
    } catch (error) {
      if (!isStatus(error, "Conflict", "AlreadyExists", "NotFound")) throw error; // else another attempt sees more
    }
  }

  /**
   * A process that starts takes its name at once: what held it before is dead or is fenced by this. A process that had the name and
   * finds another one there must not take it back while that one renews, or the two would go on for ever.
   */
  #mustWaitFor(lease: LeaseObject, nowMs: number): boolean {
    const holder = lease.spec?.holderIdentity ?? "";
    const own = holder.startsWith(`${this.#options.replica}/${this.#options.process}.`);
    if (!this.#everJoined || own || holder === "") return false;
    const { resourceVersion = "" } = lease.metadata;
    if (this.#other?.resourceVersion !== resourceVersion) this.#other = { resourceVersion, atMs: nowMs };
    return nowMs - this.#other.atMs < this.#times.durationMs;
  }

  #renewed(lease: LeaseObject, identity: string, startedMs: number): void {
    if (lease.spec?.holderIdentity !== identity || this.#state.identity !== identity) return;
    this.#options.metrics.count("federation_membership_writes_total");
    const change = this.#state.renewed(identity, startedMs, this.#options.clock.monotonic());
    if (this.#state.member) this.#held = lease;
    if (change === "ended") this.#lost("the answer to a renewal came too late");
    if (change !== "joined") return;
    this.#other = undefined;
    this.#everJoined = true;
    this.#options.log.info({ replica: this.#options.replica, identity }, "member of the hub");
    this.#join.resolve();
    this.#tell(true);
  }

  /** Streams first: listeners run before anything else happens. */
  #lost(reason: string): void {
    this.#held = undefined;
    this.#tell(false);
    this.#options.metrics.count("federation_membership_lost_total");
    this.#options.log.error({ reason }, "membership lost: this replica serves nobody until it has one again");
    this.#wake.abort();
  }

  #tell(valid: boolean): void {
    for (const listener of this.#listeners) listener(valid);
  }

  /** Gives the membership back, so that the others need not wait for its end. */
  async #leave(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    const { cluster, clock, log } = this.#options;
    const { uid } = held.metadata;
    const timer = new AbortController();
    try {
      await Promise.race([
        cluster.delete(Lease, this.#key, uid === undefined ? {} : { preconditions: { uid } }),
        clock.sleep(this.#times.requestMs, timer.signal),
      ]);
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "membership not given back; it ends by itself");
    } finally {
      timer.abort();
    }
  }

  #record(): ReplicaRecord {
    const { replica, facts } = this.#options;
    return {
      replica,
      identity: this.#state.identity,
      durationMs: this.#times.durationMs,
      ...facts(),
      draining: this.#draining,
    };
  }

  get #key(): { readonly namespace: string; readonly name: string } {
    return { namespace: NAMESPACES.ont, name: membershipLeaseName(this.#options.replica) };
  }
}
