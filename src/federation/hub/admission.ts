import type { Clock } from "../../base/clock.ts";
import { type Random, jittered } from "../../base/random.ts";
import { TokenBucket, type TokenRate } from "../../base/token-bucket.ts";

/** Clusters whose own bucket is remembered; a bucket that is full again is forgotten first. */
const MAX_BUCKETS = 20_000;

/** Verdict on a new stream. */
export type Admitted =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string; readonly retryAfterMs: number };

/**
 * Admission of new streams before expensive work: a bucket for the replica and one per cluster. Who is refused gets a place in a
 * virtual queue: retry-after = place / rate, jittered (lessons §5.1), so that a fleet that comes back at once spreads by itself.
 */
export class Admission {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #rate: TokenRate;
  readonly #perCluster: TokenRate;
  readonly #bucket: TokenBucket;
  readonly #clusters = new Map<string, TokenBucket>();
  #queueEndsMs = 0;

  constructor(parts: {
    readonly clock: Clock;
    readonly random: Random;
    readonly rate: TokenRate;
    readonly perCluster: TokenRate;
  }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#rate = parts.rate;
    this.#perCluster = parts.perCluster;
    this.#bucket = new TokenBucket(parts.rate, parts.clock.monotonic());
  }

  admit(cluster: string): Admitted {
    const now = this.#clock.monotonic();
    const own = this.#bucketOf(cluster, now);
    if (!own.take(now)) {
      const retryAfterMs = jittered(this.#random, own.waitMs(now), 0.1);
      return { ok: false, reason: "ClusterConnectRate", retryAfterMs };
    }
    if (this.#bucket.take(now)) return { ok: true };
    this.#queueEndsMs = Math.max(now, this.#queueEndsMs) + 1000 / this.#rate.perSecond;
    const retryAfterMs = jittered(this.#random, this.#queueEndsMs - now + this.#bucket.waitMs(now), 0.1);
    return { ok: false, reason: "AdmissionRate", retryAfterMs };
  }

  #bucketOf(cluster: string, now: number): TokenBucket {
    let bucket = this.#clusters.get(cluster);
    if (bucket !== undefined) return bucket;
    if (this.#clusters.size >= MAX_BUCKETS) {
      const [oldest] = this.#clusters.keys();
      if (oldest !== undefined) this.#clusters.delete(oldest);
    }
    bucket = new TokenBucket(this.#perCluster, now);
    this.#clusters.set(cluster, bucket);
    return bucket;
  }
}
