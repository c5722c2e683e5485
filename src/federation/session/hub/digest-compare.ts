import { SparseMap } from "../../../base/sparse-map.ts";
import { create } from "@bufbuild/protobuf";
import {
  type RangeDigestReply,
  RangeDigestRequestSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ProtocolError_Code } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { DesiredIndex } from "../../hub/ports.ts";
import { MAX_PATH_BYTES, RANGES, RANGE_DIGEST_BYTES, RangeDigests, differingRanges } from "../../index/range-digest.ts";
import { COMPARE_DEADLINE_MS, MAX_COMPARED_PATHS } from "../limits.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import { type Violation, violation } from "../violation.ts";
import type { HubCounters } from "./counters.ts";
import type { HubPipe, HubStep } from "./step.ts";

/** Items in a differing range above which its parts are compared too: listing this many costs as much as asking. */
const LISTED_ITEMS = 16;

/** The empty path: the whole index. */
const ROOT: Uint8Array = new Uint8Array();

/** Where two indexes differ. `pending`: the agent was asked, or waits for its turn. `failed`: only the full form is left. */
export type Comparison =
  | { readonly kind: "pending" }
  | { readonly kind: "failed" }
  | { readonly kind: "differs"; readonly paths: readonly Uint8Array[]; readonly ranges: RangeDigests };

const PENDING: Comparison = { kind: "pending" };
const FAILED: Comparison = { kind: "failed" };

/**
 * Finds out by range digests what an agent holds whose index this hub does not have (lessons §5.2, §5.3). Every agent is asked for the
 * digests of its whole index at once: the question is a few bytes, and its answer 2 KiB. What costs a hub, and what it holds until the
 * comparison ends, are the ranges of its own index: the shell lets few agents at a time come that far. So no agent waits for another
 * one's round trip, and one that does not answer takes nobody's turn.
 */
export class DigestCompare {
  readonly #counters: HubCounters;
  /** `idle`: not begun. `asking`: an answer is awaited. `queued`: it is here and waits for its turn. `told`: everything asked for is here. */
  #phase: "idle" | "asking" | "queued" | "told" | "failed" = "idle";
  /** True from AcquireCompare, the wait for the turn included, to ReleaseCompare. */
  #acquired = false;
  /** Digest of the index whose ranges are compared. */
  #held = "";
  readonly #told: SparseMap<string, Uint8Array> = new SparseMap();
  #asked: readonly Uint8Array[] = [];
  #askedMs = Infinity;
  #ranges: { readonly digest: string; readonly ranges: RangeDigests } | undefined = undefined;

  constructor(counters: HubCounters) {
    this.#counters = counters;
  }

  /** Compares what the agent holds with `desired`; asks what is not known yet. */
  find(held: string, desired: DesiredIndex, pipe: HubPipe, step: HubStep): Comparison {
    if (this.#held !== held) this.#restart(held, step);
    switch (this.#phase) {
      case "failed":
        return FAILED;
      case "idle":
        this.#ask([ROOT], pipe, step);
        return PENDING;
      case "queued":
        return PENDING;
      case "asking":
        if (step.nowMs < this.deadlineMs) return PENDING;
        this.#end("failed", step);
        return FAILED;
      case "told":
        return this.#compare(desired, pipe, step);
    }
  }

  /** It is this agent's turn. */
  acquired(): void {
    if (this.#phase !== "queued") return;
    this.#counters.compares++;
    this.#phase = "told";
  }

  /** The agent answered. An answer that nobody waits for any more is dropped. */
  reply(reply: RangeDigestReply, step: HubStep): Violation | undefined {
    if (this.#phase !== "asking") return undefined;
    if (reply.indexDigest !== this.#held) {
      this.#end("failed", step);
      return undefined;
    }
    const length = RANGES * RANGE_DIGEST_BYTES;
    if (reply.digests.length !== this.#asked.length || reply.digests.some((digests) => digests.length !== length))
      return violation(
        ProtocolError_Code.INVALID,
        `range digest reply digests: ${this.#asked.length} of ${length} bytes each`,
      );
    for (const [at, path] of this.#asked.entries()) {
      const digests = reply.digests[at];
      if (digests !== undefined) this.#told.set(keyOf(path), digests);
    }
    this.#asked = [];
    if (this.#acquired) {
      this.#phase = "told";
      return undefined;
    }
    this.#phase = "queued";
    this.#acquired = true;
    step.out.push({ type: "AcquireCompare" });
    return undefined;
  }

  /** The agent does not know the question: an older build. */
  unsupported(step: HubStep): void {
    if (this.#phase === "asking") this.#end("failed", step);
  }

  /** The stream ended, or the agent holds what was offered: nothing of the comparison is kept. */
  closed(step: HubStep): void {
    this.#restart("", step);
  }

  /** When an answer is overdue, monotonic milliseconds. */
  get deadlineMs(): number {
    return this.#phase === "asking" ? this.#askedMs + COMPARE_DEADLINE_MS : Infinity;
  }

  #compare(desired: DesiredIndex, pipe: HubPipe, step: HubStep): Comparison {
    if (this.#ranges?.digest !== desired.digest)
      this.#ranges = { digest: desired.digest, ranges: new RangeDigests(desired.document) };
    const { ranges } = this.#ranges;
    const paths: Uint8Array[] = [];
    const missing: Uint8Array[] = [];
    this.#walk(ranges, ROOT, paths, missing);
    if (missing.length === 0) {
      this.#release(step);
      return { kind: "differs", paths, ranges };
    }
    this.#ask(missing, pipe, step);
    return PENDING;
  }

  #walk(ranges: RangeDigests, path: Uint8Array, paths: Uint8Array[], missing: Uint8Array[]): void {
    const theirs = this.#told.get(keyOf(path));
    if (theirs === undefined) {
      missing.push(path);
      return;
    }
    for (const range of differingRanges(ranges.digests(path), theirs)) {
      const child = Uint8Array.of(...path, range);
      const deeper =
        child.length < MAX_PATH_BYTES &&
        ranges.items(child).length > LISTED_ITEMS &&
        (this.#told.has(keyOf(child)) || missing.length < MAX_COMPARED_PATHS);
      if (deeper) this.#walk(ranges, child, paths, missing);
      else paths.push(child);
    }
  }

  #ask(paths: readonly Uint8Array[], pipe: HubPipe, step: HubStep): void {
    const value = create(RangeDigestRequestSchema, { paths: [...paths] });
    const payload: Payload = { case: "rangeDigestRequest", value };
    const bytes = payloadBytes(payload);
    if (!pipe.sending.hasRoom("command", bytes)) return;
    this.#phase = "asking";
    this.#asked = paths;
    this.#askedMs = step.nowMs;
    pipe.send(step.out, "command", { kind: "message", payload }, bytes, step.nowMs);
  }

  #restart(held: string, step: HubStep): void {
    this.#end("idle", step);
    this.#held = held;
  }

  #end(phase: "idle" | "failed", step: HubStep): void {
    this.#phase = phase;
    this.#told.clear();
    this.#asked = [];
    this.#ranges = undefined;
    this.#release(step);
  }

  #release(step: HubStep): void {
    if (!this.#acquired) return;
    this.#acquired = false;
    step.out.push({ type: "ReleaseCompare" });
  }
}

function keyOf(path: Uint8Array): string {
  return path.join(".");
}
