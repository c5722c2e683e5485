import type { Clock } from "../../src/base/clock.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { TokenBucket } from "../../src/base/token-bucket.ts";
import { Admission } from "../../src/federation/hub/admission.ts";
import { DEFAULT_HUB_LIMITS } from "../../src/federation/hub/hub-options.ts";
import { Reconnect } from "../../src/federation/session/spoke/reconnect.ts";
import { DEFAULT_DIAL_DEADLINES } from "../../src/federation/wire/dial-stream.ts";
import { DEFAULT_CONNECTION_LIMITS } from "../../src/trust/tls/connection-limits.ts";

/** What becomes of a dial while the hub is away: packets vanish, a reset comes back, or something in between takes TCP and says nothing. */
export type Absence = "dropped" | "refused" | "swallowed";

/** A fleet whose hub is away for a while. */
export interface ReturningFleetOptions {
  readonly agents: number;
  readonly absence: Absence;
  readonly awayMs: number;
  /** Processor time of the hub for one TLS handshake, milliseconds. */
  readonly handshakeMs: number;
  /** The same for what follows it: Hello, loading, the first offer. */
  readonly admittedMs: number;
  readonly seed: number;
}

/** What the hub, and whoever stands before it, saw of the fleet. */
export interface ReturningFleet {
  /** From the end of the absence until the session is live, milliseconds, ascending. */
  readonly backMs: readonly number[];
  /** Dials in each second of the last minute of the absence. */
  readonly dialsAway: readonly number[];
  /** TCP connections that the hub saw, and TLS handshakes that it began, in each second after the absence. */
  readonly connects: readonly number[];
  readonly handshakes: readonly number[];
  /** Handshakes that the hub worked on and whose agent had given up. */
  readonly wasted: number;
}

/** When a kernel sends SYN again, milliseconds after the first. */
const SYN_AGAIN_MS = [1_000, 3_000];
/** Streams are lost over so long, milliseconds: HTTP/2 pings find a dead path between their interval and its timeout. */
const LOST_WITHIN_MS = 30_000;
/** Longest time that is looked at after the absence, milliseconds. */
const GIVE_UP_MS = 600_000;

/**
 * A whole fleet on a clock of its own: the agents' real backoff, the real buckets and admission of a hub, its cap of handshakes, and one
 * core that serves in order. What is modelled is the network, and what a handshake costs.
 */
export function returningFleet(options: ReturningFleetOptions): ReturningFleet {
  return new FleetModel(options).run();
}

class FleetModel {
  readonly #options: ReturningFleetOptions;
  readonly #agents: readonly Reconnect[];
  readonly #events = new EventQueue();
  readonly #accept: TokenBucket;
  readonly #admission: Admission;
  #nowMs = 0;
  /** When the hub's core is through with what it has. */
  #coreFreeMs: number;
  #handshaking = 0;
  #wasted = 0;
  readonly #backMs: number[] = [];
  readonly #dialsAway: number[] = [];
  readonly #connects: number[] = [];
  readonly #handshakes: number[] = [];

  constructor(options: ReturningFleetOptions) {
    this.#options = options;
    this.#agents = Array.from(
      { length: options.agents },
      (_, i) => new Reconnect(new SeededRandom(options.seed * 100_003 + i)),
    );
    this.#coreFreeMs = options.awayMs;
    const clock: Clock = {
      now: () => this.#nowMs,
      monotonic: () => this.#nowMs,
      sleep: () => Promise.reject(new Error("admission does not wait")),
    };
    const { admission, perCluster, connections } = DEFAULT_HUB_LIMITS;
    this.#accept = new TokenBucket(connections.accept ?? DEFAULT_CONNECTION_LIMITS.accept, 0);
    this.#admission = new Admission({ clock, random: new SeededRandom(options.seed), rate: admission, perCluster });
  }

  run(): ReturningFleet {
    const { awayMs, agents, seed } = this.#options;
    const random = new SeededRandom(seed + 1);
    // Nobody learns of it before the hub is away; with a short absence some never do, and they have nothing to come back from.
    for (let agent = 0; agent < agents; agent++) {
      const lostMs = random.next() * LOST_WITHIN_MS;
      this.#at(lostMs, () => this.#redial(agent, this.#reconnect(agent).delayMs(60_000, 0)));
    }
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      if (event.atMs > awayMs + GIVE_UP_MS) break;
      this.#nowMs = event.atMs;
      event.run();
    }
    return {
      backMs: this.#backMs.sort((a, b) => a - b),
      dialsAway: this.#dialsAway,
      connects: this.#connects,
      handshakes: this.#handshakes,
      wasted: this.#wasted,
    };
  }

  #at(atMs: number, run: () => void): void {
    this.#events.push({ atMs, run });
  }

  #reconnect(agent: number): Reconnect {
    const reconnect = this.#agents[agent];
    if (reconnect === undefined) throw new Error(`no agent ${agent}`);
    return reconnect;
  }

  #redial(agent: number, delayMs: number): void {
    this.#at(this.#nowMs + delayMs, () => this.#dial(agent));
  }

  #dial(agent: number): void {
    const { awayMs, absence } = this.#options;
    const { tcpMs, tlsMs } = DEFAULT_DIAL_DEADLINES;
    if (this.#nowMs >= awayMs) {
      this.#connected(agent, this.#nowMs + tlsMs);
      return;
    }
    if (this.#nowMs >= awayMs - 60_000) countIn(this.#dialsAway, this.#nowMs - (awayMs - 60_000));
    const begunMs = this.#nowMs;
    const unanswered = (atMs: number): void =>
      this.#at(atMs, () => this.#redial(agent, this.#reconnect(agent).redialMs()));
    switch (absence) {
      case "refused":
        unanswered(begunMs);
        return;
      case "dropped": {
        const againMs = SYN_AGAIN_MS.map((ms) => begunMs + ms).find((ms) => ms >= awayMs);
        if (againMs === undefined) unanswered(begunMs + tcpMs);
        else this.#at(againMs, () => this.#connected(agent, this.#nowMs + tlsMs));
        return;
      }
      case "swallowed":
        // Half a second before its deadline nobody in between gets a handshake through any more.
        if (begunMs + tlsMs - 500 < awayMs) unanswered(begunMs + tlsMs);
        else this.#at(awayMs, () => this.#connected(agent, begunMs + tlsMs));
    }
  }

  /** TCP is up: what the hub's listener does. */
  #connected(agent: number, deadlineMs: number): void {
    const { awayMs, handshakeMs, admittedMs } = this.#options;
    const reconnect = this.#reconnect(agent);
    countIn(this.#connects, this.#nowMs - awayMs);
    if (!this.#accept.take(this.#nowMs) || this.#handshaking >= DEFAULT_CONNECTION_LIMITS.maxHandshakes) {
      this.#redial(agent, reconnect.brokenOffMs());
      return;
    }
    countIn(this.#handshakes, this.#nowMs - awayMs);
    this.#handshaking++;
    const doneMs = (this.#coreFreeMs = Math.max(this.#coreFreeMs, this.#nowMs) + handshakeMs);
    if (doneMs > deadlineMs) {
      this.#at(deadlineMs, () => this.#redial(agent, reconnect.redialMs()));
      this.#at(doneMs, () => {
        this.#handshaking--;
        this.#wasted++;
      });
      return;
    }
    this.#at(doneMs, () => {
      this.#handshaking--;
      const admitted = this.#admission.admit(`agent-${agent}`);
      if (!admitted.ok) {
        this.#redial(agent, reconnect.delayMs(0, admitted.retryAfterMs));
        return;
      }
      this.#coreFreeMs = Math.max(this.#coreFreeMs, this.#nowMs) + admittedMs;
      this.#backMs.push(this.#coreFreeMs - awayMs);
    });
  }
}

interface ModelEvent {
  readonly atMs: number;
  readonly run: () => void;
}

/** Events by time: a binary heap. */
class EventQueue {
  readonly #heap: ModelEvent[] = [];

  push(event: ModelEvent): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.atMs <= event.atMs) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = event;
  }

  shift(): ModelEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const [left, right] = [heap[below], heap[below + 1]];
      if (left === undefined) break;
      let child = left;
      if (right !== undefined && right.atMs < left.atMs) {
        child = right;
        below++;
      }
      if (child.atMs >= last.atMs) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

/** Adds one to the second that `ms` lies in. */
function countIn(seconds: number[], ms: number): void {
  const second = Math.floor(ms / 1000);
  while (seconds.length <= second) seconds.push(0);
  seconds[second] = (seconds[second] ?? 0) + 1;
}
