import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { buildIndex } from "../index/build-index.ts";
import type { DecisionAudit } from "../service/decision-audit.ts";
import { type PermissionMethods, permissionMethods } from "../service/permission-handlers.ts";
import type { QuestionParts } from "../service/question-gate.ts";
import { PageTokens } from "../service/page-token.ts";
import type { Refusal } from "../store/snapshot-reader.ts";
import { ClusterPermissions, type ClusterPermissionsParts } from "./cluster-permissions.ts";
import type { LivePermissions } from "./live-permissions.ts";

/** Clusters whose permissions are held compiled at once; the one asked least recently goes first. */
export const MAX_HELD_CLUSTERS = 64;
/** What they may take together, bytes; one alone may be as large as a tenant's. */
export const MAX_HELD_BYTES = 256 * 1024 * 1024;
/** Contents that are compiled at once. */
const MAX_BUILDS = 2;
/** Questions that wait for a content at once; further ones are answered that they were too many. */
const MAX_WAITING = 1_024;
/** Longest that a question waits for what it is about to be computed and compiled, milliseconds. */
export const OPEN_WAIT_MS = 5_000;

/** What {@link FleetPermissions} works with. */
export interface FleetPermissionsParts {
  readonly live: LivePermissions;
  readonly audit: DecisionAudit;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Default: {@link MAX_HELD_CLUSTERS}. */
  readonly maxClusters?: number;
  /** Default: {@link MAX_HELD_BYTES}. */
  readonly maxBytes?: number;
}

/** A cluster with its methods. */
export interface AskedCluster {
  readonly permissions: ClusterPermissions;
  readonly methods: PermissionMethods;
}

/**
 * The permissions of every registered cluster, compiled when they are asked for and held within a bound (permissions §11.4). An answer
 * rests on what was computed when the question came, or later.
 */
export class FleetPermissions {
  readonly #parts: FleetPermissionsParts;
  /** Least recently asked first. */
  readonly #asked = new Map<string, AskedCluster>();
  readonly #builds = new Semaphore(MAX_BUILDS);
  readonly #tokens: PageTokens;
  #waiting = 0;

  constructor(parts: FleetPermissionsParts) {
    this.#parts = parts;
    this.#tokens = new PageTokens(parts.random);
    const stop = parts.live.subscribe((cluster) => this.#changed(cluster));
    parts.signal.addEventListener("abort", stop, { once: true });
  }

  /** Clusters that are held now. */
  get held(): number {
    return this.#asked.size;
  }

  /** The cluster of a question, up to date: at once when it is held so. Whether it can answer is said by its gate. */
  open(cluster: string, signal: AbortSignal): AskedCluster | Promise<AskedCluster> {
    const asked = this.#asked.get(cluster) ?? this.#opened(cluster);
    if (this.#asked.delete(cluster)) this.#asked.set(cluster, asked);
    if (asked.permissions.refresh()) return asked;
    if (this.#waiting >= MAX_WAITING) return this.#refusing(cluster, BUSY);
    return this.#caughtUp(asked, signal);
  }

  /** Holds a cluster for as long as somebody follows it. Returns the way to let go. */
  keep(asked: AskedCluster): () => void {
    const { permissions } = asked;
    const stop = permissions.subscribe(() => {});
    if (permissions.refusal === undefined) this.#asked.set(permissions.cluster, asked);
    return stop;
  }

  #opened(cluster: string): AskedCluster {
    const parts: ClusterPermissionsParts = {
      live: this.#parts.live,
      build: (content) =>
        this.#builds.run(async () => {
          const bytes = await content.bytesInTurns();
          const index = await buildIndex(bytes, content.contentHash, { signal: this.#parts.signal });
          return { index, bytes: bytes.length };
        }),
      grown: () => this.#shrink(cluster),
    };
    const permissions = new ClusterPermissions(cluster, parts);
    const asked = { permissions, methods: this.#methods(permissions) };
    // Of clusters that are not registered nothing is kept: whoever makes names up fills no memory.
    if (this.#parts.live.of(cluster).state === "unknown") return asked;
    if (!this.#makeRoom()) return this.#refusing(cluster, FULL);
    this.#asked.set(cluster, asked);
    return asked;
  }

  #methods(permissions: ClusterPermissions): PermissionMethods {
    const { clock, random, metrics } = this.#parts;
    // This log is the management cluster's: it has to say whose permissions were asked for.
    const audit: QuestionParts["audit"] = {
      record: (record, always) => this.#parts.audit.record({ ...record, cluster: permissions.cluster }, always),
    };
    return permissionMethods({ store: permissions, audit, clock, random, metrics }, this.#tokens);
  }

  /** Waits for what was computed when the question came to be compiled. Rejects when compiling fails for reasons of the process. */
  async #caughtUp(asked: AskedCluster, signal: AbortSignal): Promise<AskedCluster> {
    const { clock, live } = this.#parts;
    const { permissions } = asked;
    const ends = AbortSignal.any([signal, this.#parts.signal]);
    const deadline = clock.monotonic() + OPEN_WAIT_MS;
    this.#waiting++;
    try {
      while (!permissions.refresh() && !ends.aborted && clock.monotonic() < deadline) {
        const known = live.of(permissions.cluster);
        if (known.state !== "computed") await this.#changedWithin(permissions.cluster, deadline, ends);
        else {
          await permissions.compile();
          // Compiled is what stood when the question came, or what came after: good enough, however often it changes.
          if (permissions.current?.statement.contentHash === known.content.contentHash) break;
        }
      }
      return asked;
    } finally {
      this.#waiting--;
    }
  }

  async #changedWithin(cluster: string, deadline: number, ends: AbortSignal): Promise<void> {
    const { clock, live } = this.#parts;
    const woken = new AbortController();
    const stop = live.subscribe((changed) => {
      if (changed === undefined || changed === cluster) woken.abort();
    });
    try {
      await clock.sleep(deadline - clock.monotonic(), AbortSignal.any([ends, woken.signal]));
    } catch {
      // woken: something changed, or nobody waits any more
    } finally {
      stop();
    }
  }

  /** Whoever follows a cluster hears of changes; the others are brought up to date when they are asked for. */
  #changed(cluster: string | undefined): void {
    const changed = cluster === undefined ? [...this.#asked.values()] : [this.#asked.get(cluster)];
    for (const asked of changed) {
      if (asked === undefined) continue;
      const { permissions } = asked;
      const settled = permissions.refresh();
      if (permissions.refusal?.code === "CLUSTER_NOT_SERVED" && !permissions.followed)
        this.#asked.delete(permissions.cluster);
      if (!settled && permissions.followed) this.#follow(permissions);
    }
  }

  #follow(permissions: ClusterPermissions): void {
    const { log, signal } = this.#parts;
    permissions
      .compile()
      .then(() => {
        // Changed meanwhile: once more, for nobody may ask.
        if (!permissions.refresh() && permissions.followed && permissions.refusal === undefined)
          this.#follow(permissions);
      })
      .catch((error: unknown) => {
        if (!signal.aborted)
          log.error({ cluster: permissions.cluster, error: errorMessage(error) }, "permissions could not be compiled");
      });
  }

  /** Room for one more. False when all that are held are being followed. */
  #makeRoom(): boolean {
    const max = this.#parts.maxClusters ?? MAX_HELD_CLUSTERS;
    if (this.#asked.size < max) return true;
    for (const [cluster, { permissions }] of this.#asked)
      if (!permissions.followed) {
        this.#asked.delete(cluster);
        return true;
      }
    return false;
  }

  /** Lets go of what was asked for least recently until the rest is within its bound; never of what was just compiled. */
  #shrink(just: string): void {
    let held = 0;
    for (const { permissions } of this.#asked.values()) held += permissions.weightBytes;
    for (const [cluster, { permissions }] of this.#asked) {
      if (held <= (this.#parts.maxBytes ?? MAX_HELD_BYTES)) break;
      if (cluster === just || permissions.followed) continue;
      held -= permissions.weightBytes;
      this.#asked.delete(cluster);
    }
    this.#parts.metrics.gauge("fleet_permission_index_bytes", held);
    this.#parts.metrics.gauge("fleet_permission_clusters", this.#asked.size);
  }

  /** Says no, whatever is asked. */
  #refusing(cluster: string, refusal: Refusal): AskedCluster {
    const permissions = new RefusingPermissions(cluster, refusal, this.#parts.live);
    return { permissions, methods: this.#methods(permissions) };
  }
}

class RefusingPermissions extends ClusterPermissions {
  constructor(cluster: string, refusal: Refusal, live: LivePermissions) {
    super(cluster, {
      live,
      build: () => Promise.reject(new Error("nothing is compiled for a question that is refused")),
      grown: () => {},
    });
    this.refusal = refusal;
  }

  override refresh(): boolean {
    return true;
  }
}

const BUSY: Refusal = {
  code: "SNAPSHOT_NOT_LOADED",
  reason: "too many questions wait for permissions that are being computed; ask again in a moment",
};
const FULL: Refusal = {
  code: "SNAPSHOT_NOT_LOADED",
  reason: "as many clusters as this replica holds are being watched; ask another replica, or the tenant itself",
};
