import type { Clock } from "../../base/clock.ts";
import type { Metrics } from "../../base/metrics.ts";
import { TokenBucket, type TokenRate } from "../../base/token-bucket.ts";

/** What one tenant may bring about at the hub, whatever its agent does. */
export interface TenantRateLimits {
  /** Questions that another room answers (validation, renewal); one more is refused. */
  readonly requests: TokenRate;
  /** Stores of facts and item levels; one more waits, which holds its acknowledgement back and with it the agent. */
  readonly facts: TokenRate;
}

/** Far above what an honest agent does: a thousand items that all change report in tens of stores a second. */
export const DEFAULT_TENANT_RATES: TenantRateLimits = {
  requests: { perSecond: 5, burst: 50 },
  facts: { perSecond: 200, burst: 2_000 },
};

/** Rates of one tenant. Refusals and waits are counted by reason, not by tenant: the log names it. */
export class TenantRates {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #limits: TenantRateLimits;
  /** Full, and so not there, before the first request and the first fact. */
  #requests: TokenBucket | undefined = undefined;
  #facts: TokenBucket | undefined = undefined;

  constructor(parts: { readonly clock: Clock; readonly metrics: Metrics; readonly limits: TenantRateLimits }) {
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
    this.#limits = parts.limits;
  }

  /** False: the request is refused. */
  admitsRequest(): boolean {
    const now = this.#clock.monotonic();
    this.#requests ??= new TokenBucket(this.#limits.requests, now);
    if (this.#requests.take(now)) return true;
    this.#metrics.count("federation_refused_total", { reason: "RequestRate" });
    return false;
  }

  /** Resolves when the next fact may be stored. */
  async fact(): Promise<void> {
    const facts = (this.#facts ??= new TokenBucket(this.#limits.facts, this.#clock.monotonic()));
    if (facts.take(this.#clock.monotonic())) return;
    this.#metrics.count("federation_throttled_total", { reason: "FactRate" });
    do await this.#clock.sleep(facts.waitMs(this.#clock.monotonic()));
    while (!facts.take(this.#clock.monotonic()));
  }
}
