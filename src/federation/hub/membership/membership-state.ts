import { membershipIdentity } from "./replica-record.ts";

/** What a question or an answer did to a membership. */
export type MembershipChange = "none" | "joined" | "ended";

/**
 * Whether a replica may serve now: pure, all times monotonic milliseconds of its own process. A membership lasts `serveMs` from the
 * **start** of its last successful renewal, whenever the answer came; the next one has another identity, so that whatever was owned under
 * the former is another owner's.
 */
export class MembershipState {
  readonly #replica: string;
  readonly #process: string;
  readonly #serveMs: number;
  #count = 1;
  #identity: string;
  #member = false;
  #renewedMs = 0;

  constructor(replica: string, process: string, serveMs: number) {
    this.#replica = replica;
    this.#process = process;
    this.#serveMs = serveMs;
    this.#identity = membershipIdentity(replica, process, this.#count);
  }

  /** Of the present membership, or of the one that is asked for next. */
  get identity(): string {
    return this.#identity;
  }

  /** True until the membership was seen to be over. */
  get member(): boolean {
    return this.#member;
  }

  /** When the membership ends unless it is renewed. */
  get endsMs(): number {
    return this.#renewedMs + this.#serveMs;
  }

  /** Looks at the time. `ended` is said once: whoever hears it ends the streams before anything else. */
  look(nowMs: number): MembershipChange {
    return this.#member && nowMs >= this.endsMs ? this.end() : "none";
  }

  /** A renewal or a join under `identity` that began at `startedMs` succeeded. One of a former membership gives nothing back. */
  renewed(identity: string, startedMs: number, nowMs: number): MembershipChange {
    if (identity !== this.#identity) return "none";
    const joins = !this.#member;
    // An answer that took longer than the membership lasts gives none.
    if (joins && nowMs - startedMs >= this.#serveMs) return "none";
    this.#member = true;
    this.#renewedMs = Math.max(this.#renewedMs, startedMs);
    return joins ? "joined" : this.look(nowMs);
  }

  /** The membership is over. */
  end(): MembershipChange {
    if (!this.#member) return "none";
    this.#member = false;
    this.#count++;
    this.#identity = membershipIdentity(this.#replica, this.#process, this.#count);
    return "ended";
  }
}
