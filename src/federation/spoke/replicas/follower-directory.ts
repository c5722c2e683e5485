import { Lease } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import type { LeaseObject } from "../../../api/builtin.ts";
import { FOLLOWER_DURATION_MS, FOLLOWER_LABEL, followerWord } from "./follower-lease.ts";
import { type FloorNotice, noticeFloor } from "./revocation-notice.ts";

/** Longest that a revocation waits for the replicas that follow, milliseconds. */
export const CONFIRM_MS = 5_000;

/** What {@link FollowerDirectory} works with. */
export interface FollowerDirectoryParts {
  readonly clusterId: string;
  /** The tenant cluster. */
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** How far a revocation reached. */
export interface Reached {
  /** True when every replica that is heard of has it, durably. */
  readonly all: boolean;
  /** For people: what is covered and what is not. */
  readonly detail: string;
}

/** The replicas of a tenant that answer questions from the mirror of what its agent verified. */
export class FollowerDirectory {
  readonly closed: Promise<void>;
  readonly #parts: FollowerDirectoryParts;
  readonly #leases: Informer<LeaseObject>;
  /** When each was heard last, by our own clock: theirs may be wrong. Bounded by the Leases there are. */
  readonly #heardMs = new Map<string, number>();
  #heard: () => void = () => {};

  constructor(parts: FollowerDirectoryParts) {
    this.#parts = parts;
    const { cluster, clusterId, clock, random, log, signal } = parts;
    this.#leases = startInformer({
      cluster,
      type: Lease,
      namespace: NAMESPACES.ont,
      labelSelector: `${FOLLOWER_LABEL}=${clusterId}`,
      clock,
      random,
      log,
      signal,
    });
    this.#leases.subscribe(({ type, object }) => {
      if (type === "DELETED") this.#heardMs.delete(object.metadata.name);
      else this.#heardMs.set(object.metadata.name, clock.monotonic());
      this.#heard();
    });
    this.#leases.synced.catch(() => {});
    this.closed = this.#leases.closed;
  }

  /** Replicas there ever were, whose Leases stand. */
  get known(): number {
    return this.#leases.list().length;
  }

  /**
   * Brings the proof of a floor to every replica that follows, and waits until each that is heard of has raised its floor durably. Answers
   * how far it reached: an acknowledgement must not say more than that.
   */
  async revoke(notice: () => Promise<FloorNotice>, minSequence: number): Promise<Reached> {
    const { cluster, clock, signal, log } = this.#parts;
    const deadline = clock.monotonic() + CONFIRM_MS;
    try {
      await this.#within(this.#leases.synced, deadline);
      if (this.known === 0 && this.#leases.hasSynced) return { all: true, detail: "" };
      if (this.#live().some(({ floor }) => floor < minSequence)) await noticeFloor(cluster, await notice());
    } catch (error) {
      log.warn({ error: errorMessage(error) }, "a revocation could not be told to the other replicas");
      return {
        all: false,
        detail: `in force on this replica only; the others could not be told: ${errorMessage(error)}`,
      };
    }
    for (;;) {
      const missing = this.#live().filter(({ floor }) => floor < minSequence);
      const silent = this.#silent();
      const covered = `in force on this replica and on ${this.#live().length - missing.length} that follow`;
      const unheard = silent.length === 0 ? "" : `; not heard of for 15 s: ${silent.join(", ")}`;
      if (missing.length === 0) return { all: true, detail: covered + unheard };
      if (clock.monotonic() >= deadline || signal.aborted)
        return {
          all: false,
          detail: `${covered}; not confirmed by ${missing.map(({ name }) => name).join(", ")}${unheard}`,
        };
      await this.#within(new Promise<void>((resolve) => (this.#heard = resolve)), deadline);
    }
  }

  #live() {
    return this.#leases
      .list()
      .filter(({ metadata }) => this.#isHeard(metadata.name))
      .map(followerWord);
  }

  #silent(): readonly string[] {
    return this.#leases
      .list()
      .filter(({ metadata }) => !this.#isHeard(metadata.name))
      .map((lease) => followerWord(lease).name);
  }

  #isHeard(name: string): boolean {
    return (
      this.#parts.clock.monotonic() - (this.#heardMs.get(name) ?? Number.NEGATIVE_INFINITY) <= FOLLOWER_DURATION_MS
    );
  }

  /** Waits for something, or until the deadline. */
  async #within(awaited: Promise<void>, deadline: number): Promise<void> {
    const { clock, signal } = this.#parts;
    const done = new AbortController();
    const late = clock
      .sleep(Math.max(0, deadline - clock.monotonic()), AbortSignal.any([signal, done.signal]))
      .catch(() => {
        // what was awaited came, or the agent stops
      });
    try {
      await Promise.race([awaited, late]);
    } finally {
      done.abort();
    }
  }
}
