import { type Random, jittered } from "../../base/random.ts";
import { HEARTBEATS_MISSED_LIMIT, PAUSE_DETECTION_MS, SILENCE_LIMIT_MS } from "./limits.ts";

/**
 * Judges one stream by heartbeats: both silence and unanswered heartbeats end it, so that a path that is dead in
 * one direction is found too. All times are monotonic milliseconds.
 */
export class Liveness {
  readonly #random: Random;
  readonly #intervalMs: number;
  #lastInboundMs: number;
  #nextHeartbeatMs: number;
  #nonce = 0;
  #sentMs = 0;
  #unanswered = 0;
  /** Last measured round trip; undefined before the first answer. */
  roundTripMs: number | undefined = undefined;

  constructor(random: Random, intervalMs: number, nowMs: number) {
    this.#random = random;
    this.#intervalMs = intervalMs;
    this.#lastInboundMs = nowMs;
    this.#nextHeartbeatMs = nowMs + jittered(random, intervalMs);
  }

  /** Any frame arrived. */
  inbound(nowMs: number): void {
    this.#lastInboundMs = nowMs;
  }

  /** An answer to our heartbeat arrived. */
  answered(nonce: number, nowMs: number): void {
    if (nonce !== this.#nonce) return; // an answer that came after the next heartbeat still counts as inbound
    this.#unanswered = 0;
    this.roundTripMs = nowMs - this.#sentMs;
  }

  /** True when the peer must be taken for dead. */
  isDead(nowMs: number): boolean {
    return this.#unanswered >= HEARTBEATS_MISSED_LIMIT || nowMs - this.#lastInboundMs >= this.#silenceMs;
  }

  /** True when a heartbeat is due. */
  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextHeartbeatMs;
  }

  /** Takes the nonce of a heartbeat that leaves now. */
  beat(nowMs: number): number {
    this.#nextHeartbeatMs = nowMs + jittered(this.#random, this.#intervalMs);
    this.#sentMs = nowMs;
    this.#unanswered++;
    return ++this.#nonce;
  }

  /** This process did not run for `lateMs`: the peer gets that time back. */
  paused(lateMs: number): void {
    if (lateMs < PAUSE_DETECTION_MS) return;
    this.#lastInboundMs += lateMs;
    this.#unanswered = 0;
  }

  /** When the next heartbeat is due. */
  get nextHeartbeatMs(): number {
    return this.#nextHeartbeatMs;
  }

  /** When silence ends the stream. */
  get silenceEndsMs(): number {
    return this.#lastInboundMs + this.#silenceMs;
  }

  /** The limit scales with the period so that a test or a link with another period keeps the proportion. */
  get #silenceMs(): number {
    return SILENCE_LIMIT_MS * (this.#intervalMs / 30_000);
  }
}
