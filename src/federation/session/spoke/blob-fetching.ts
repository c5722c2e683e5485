import { create } from "@bufbuild/protobuf";
import {
  type BlobChunk,
  BlobFetchSchema,
  type BlobUnavailable,
  Nack_Class,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { type Digest, digestOf } from "../../../base/digest.ts";
import type { Random } from "../../../base/random.ts";
import type { ItemNack } from "../../spoke/ports.ts";
import { CHUNK_BYTES, FETCH_RETRY, MAX_FETCHES } from "../limits.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import { retryAtMs } from "../retry.ts";
import type { SpokeCounters } from "./counters.ts";
import type { BlobRecord } from "./record.ts";
import type { SpokePipe, SpokeStep } from "./step.ts";

/** Time without a chunk after which a body is asked for again, milliseconds. */
const FETCH_STALL_MS = 60_000;

/** A body this agent needs and does not hold. */
interface Want {
  readonly digest: Digest;
  readonly size: number;
  /** Durable bytes, or on their way to be durable in this step. */
  held: number;
  /** True while the hub was asked on this stream. */
  active: boolean;
  /** True while the whole is hashed. */
  checking: boolean;
  progressMs: number;
  retryAtMs: number;
  attempts: number;
  /** Offset of the newest fetch: a body put together from two streams that does not match is tried once more. */
  startedAt: number;
  mismatches: number;
  /** Why the hub could not deliver it; for people. */
  reason: string;
}

/** What a change did to a body. */
export type BodyOutcome =
  | { readonly kind: "none" }
  | { readonly kind: "arrived"; readonly digest: Digest }
  | { readonly kind: "refused"; readonly digest: Digest; readonly nack: ItemNack };

const NONE: BodyOutcome = { kind: "none" };

/**
 * Bodies the agent holds and fetches. A fetch goes on from the durable offset after any interruption; a body counts only after
 * its digest over the whole was checked (lessons §7.1).
 */
export class BlobFetching {
  readonly #random: Random;
  readonly #counters: SpokeCounters;
  readonly #checked: Set<Digest> = new Set();
  /** Bytes held of bodies that are not complete or not checked. */
  readonly #partial: Map<Digest, { held: number; total: number }> = new Map();
  readonly #wants: Map<Digest, Want> = new Map();
  #active = 0;

  constructor(random: Random, counters: SpokeCounters, blobs: readonly BlobRecord[]) {
    this.#random = random;
    this.#counters = counters;
    for (const blob of blobs) {
      if (blob.checked) this.#checked.add(blob.digest);
      else this.#partial.set(blob.digest, { held: blob.held, total: blob.total });
    }
  }

  /** True when the body is held and its digest was checked. */
  holds(digest: Digest): boolean {
    return this.#checked.has(digest);
  }

  /** Bodies wanted and not held. */
  get wanting(): number {
    return this.#wants.size;
  }

  /** Why a body does not come; empty when nothing is known. */
  reasonOf(digest: Digest): string {
    return this.#wants.get(digest)?.reason ?? "";
  }

  /** Every digest in the store, for the first clean-up. */
  *stored(): Generator<Digest> {
    yield* this.#checked;
    yield* this.#partial.keys();
  }

  /** Asks for a body. Idempotent. */
  want(digest: Digest, size: number, step: SpokeStep): void {
    if (this.#checked.has(digest) || this.#wants.has(digest)) return;
    const partial = this.#partial.get(digest);
    const held = partial !== undefined && partial.total === size ? partial.held : 0;
    const want: Want = {
      digest,
      size,
      held,
      active: false,
      checking: false,
      progressMs: 0,
      retryAtMs: 0,
      attempts: 0,
      startedAt: held,
      mismatches: 0,
      reason: "",
    };
    this.#wants.set(digest, want);
    if (held === size && held > 0) this.#check(want, step);
  }

  /** Nothing needs the body any more: stop fetching it and forget it. */
  forget(digest: Digest, step: SpokeStep): void {
    const want = this.#wants.get(digest);
    if (want !== undefined) this.#drop(want);
    const held = this.#checked.delete(digest);
    if (this.#partial.delete(digest) || held) step.persist.push({ type: "DeleteBlob", digest });
  }

  /** Takes a body that rode with an offer; its digest when it was wanted. A wrong one is ignored: it will be fetched, and judged then. */
  inline(digest: string, data: Uint8Array, step: SpokeStep): Digest | undefined {
    const want = this.#find(digest);
    if (want === undefined || want.checking || data.length !== want.size || digestOf(data) !== want.digest)
      return undefined;
    this.#complete(want, 0, data, step);
    return want.digest;
  }

  /** Takes a chunk. Chunks of bodies that are not wanted any more, or out of place, are ignored and counted. */
  chunk(chunk: BlobChunk, step: SpokeStep): BodyOutcome {
    const want = this.#find(chunk.digest);
    if (want === undefined || !want.active || want.checking || Number(chunk.offset) !== want.held) {
      this.#counters.chunksIgnored++;
      return NONE;
    }
    const total = Number(chunk.total);
    const { data } = chunk;
    if (total !== want.size) {
      this.#drop(want);
      const detail = `the index pins ${want.size} bytes, the hub has ${total}`;
      return {
        kind: "refused",
        digest: want.digest,
        nack: { class: Nack_Class.UNTRUSTED, retryable: false, reason: "SIZE_MISMATCH", detail },
      };
    }
    if (data.length > CHUNK_BYTES || want.held + data.length > total || (data.length === 0 && total > 0)) {
      this.#counters.chunksIgnored++;
      return NONE;
    }
    want.progressMs = step.nowMs;
    want.attempts = 0;
    const offset = want.held;
    if (offset === 0 && data.length === total) {
      if (digestOf(data) !== want.digest) return this.#mismatch(want, step);
      this.#complete(want, 0, data, step);
      return { kind: "arrived", digest: want.digest };
    }
    want.held += data.length;
    this.#partial.set(want.digest, { held: want.held, total });
    step.persist.push({ type: "AppendBlob", digest: want.digest, offset, total, data, checked: false });
    if (want.held === total) this.#check(want, step);
    return NONE;
  }

  /** The hub could not deliver: ask again after a while, unless it says that this cannot help. */
  unavailable(message: BlobUnavailable, step: SpokeStep): BodyOutcome {
    const want = this.#find(message.digest);
    if (want === undefined || !want.active) return NONE;
    if (message.nack?.class === Nack_Class.UNTRUSTED && !message.nack.retryable) {
      this.#drop(want);
      if (this.#partial.delete(want.digest)) step.persist.push({ type: "DeleteBlob", digest: want.digest });
      const { class: nackClass, reason, detail } = message.nack;
      return { kind: "refused", digest: want.digest, nack: { class: nackClass, retryable: false, reason, detail } };
    }
    this.#deactivate(want);
    want.reason = message.nack?.reason ?? "";
    want.attempts++;
    want.retryAtMs = retryAtMs(FETCH_RETRY, want.attempts - 1, this.#random, step.nowMs);
    if (want.reason === "OFFSET_BEYOND_END") {
      want.held = 0;
      want.startedAt = 0;
    }
    return NONE;
  }

  /** The whole was hashed. */
  checked(digest: Digest, ok: boolean, step: SpokeStep): BodyOutcome {
    const want = this.#wants.get(digest);
    if (want === undefined || !want.checking) return NONE;
    want.checking = false;
    if (!ok) return this.#mismatch(want, step);
    this.#drop(want);
    this.#partial.delete(digest);
    this.#checked.add(digest);
    step.persist.push({ type: "MarkBlobChecked", digest });
    return { kind: "arrived", digest: want.digest };
  }

  /** The stream ended: every fetch starts again from its durable offset. */
  lost(): void {
    for (const want of this.#wants.values()) {
      want.active = false;
      want.retryAtMs = 0;
    }
    this.#active = 0;
  }

  /** Fetches that stand still are sent again. */
  tick(step: SpokeStep): void {
    if (this.#active === 0) return;
    for (const want of this.#wants.values())
      if (want.active && !want.checking && step.nowMs - want.progressMs >= FETCH_STALL_MS) this.#deactivate(want);
  }

  /** Asks for what is wanted while there is room. */
  pump(pipe: SpokePipe, step: SpokeStep): void {
    if (this.#active >= MAX_FETCHES) return;
    for (const want of this.#wants.values()) {
      if (this.#active >= MAX_FETCHES) return;
      if (want.active || want.checking || step.nowMs < want.retryAtMs) continue;
      const payload = this.request(want.digest, want.held);
      const bytes = payloadBytes(payload);
      if (pipe.blocked || !pipe.sending.hasRoom("command", bytes)) return;
      pipe.send(step.out, "command", { kind: "message", payload }, bytes, step.nowMs);
      want.active = true;
      want.startedAt = want.held;
      want.progressMs = step.nowMs;
      this.#active++;
    }
  }

  /** The message that asks for a body from `offset` on. */
  request(digest: Digest, offset: number): Payload {
    return { case: "blobFetch", value: create(BlobFetchSchema, { digest, offset: BigInt(offset) }) };
  }

  get deadlineMs(): number {
    let deadline = Infinity;
    for (const want of this.#wants.values()) {
      if (want.checking) continue;
      deadline = Math.min(deadline, want.active ? want.progressMs + FETCH_STALL_MS : want.retryAtMs || Infinity);
    }
    return deadline;
  }

  #find(digest: string): Want | undefined {
    // A Map of template-literal keys is looked up by any text that came from the wire.
    return (this.#wants as ReadonlyMap<string, Want>).get(digest);
  }

  #check(want: Want, step: SpokeStep): void {
    this.#deactivate(want);
    want.checking = true;
    step.out.push({ type: "CheckBlob", digest: want.digest });
  }

  #complete(want: Want, offset: number, data: Uint8Array, step: SpokeStep): void {
    this.#drop(want);
    this.#partial.delete(want.digest);
    this.#checked.add(want.digest);
    step.persist.push({ type: "AppendBlob", digest: want.digest, offset, total: want.size, data, checked: true });
  }

  #mismatch(want: Want, step: SpokeStep): BodyOutcome {
    this.#counters.digestMismatches++;
    this.#deactivate(want);
    if (this.#partial.delete(want.digest)) step.persist.push({ type: "DeleteBlob", digest: want.digest });
    const resumed = want.startedAt > 0;
    want.mismatches++;
    want.held = 0;
    want.startedAt = 0;
    if (resumed && want.mismatches === 1) return NONE;
    this.#drop(want);
    const detail = `the body does not hash to ${want.digest}`;
    return {
      kind: "refused",
      digest: want.digest,
      nack: { class: Nack_Class.UNTRUSTED, retryable: false, reason: "DIGEST_MISMATCH", detail },
    };
  }

  #deactivate(want: Want): void {
    if (!want.active) return;
    want.active = false;
    this.#active--;
  }

  #drop(want: Want): void {
    this.#deactivate(want);
    this.#wants.delete(want.digest);
  }
}
