/** Rate and burst of a {@link TokenBucket}. */
export interface TokenRate {
  /** Tokens that come back per second. */
  readonly perSecond: number;
  /** Most tokens held. */
  readonly burst: number;
}

/** Admission by tokens. Pure in time: the caller passes a monotonic clock reading. */
export class TokenBucket {
  readonly #rate: TokenRate;
  #tokens: number;
  #updatedMs: number;

  constructor(rate: TokenRate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#updatedMs = nowMs;
  }

  /** Takes one token if there is one. */
  take(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Takes a token that may have to come back first: milliseconds until it is there. Those who come later wait behind. */
  reserveMs(nowMs: number): number {
    this.#refill(nowMs);
    this.#tokens -= 1;
    return Math.max(0, (-this.#tokens / this.#rate.perSecond) * 1000);
  }

  /** Milliseconds until `position` more tokens will have come back (lessons §5.1: retry-after = queue position / rate). */
  waitMs(nowMs: number, position = 1): number {
    this.#refill(nowMs);
    return Math.max(0, ((position - this.#tokens) / this.#rate.perSecond) * 1000);
  }

  #refill(nowMs: number): void {
    const elapsed = Math.max(0, nowMs - this.#updatedMs);
    this.#updatedMs = nowMs;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + (elapsed * this.#rate.perSecond) / 1000);
  }
}
