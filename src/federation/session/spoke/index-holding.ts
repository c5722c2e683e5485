import type {
  BlobChunk,
  IndexDiff,
  IndexOffer,
  IndexRanges,
  IndexReference,
  IndexSignature,
  IndexUnchanged,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ProtocolError_Code } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { InvariantViolation } from "../../../base/assert.ts";
import { type Digest, digestOf, isDigest } from "../../../base/digest.ts";
import { type EnvelopeSignature, type KeyLookup, PAYLOAD_TYPES } from "../../../trust/dsse.ts";
import { applyDiff } from "../../index/diff-index.ts";
import { type IndexDocument, MAX_INDEX_BYTES } from "../../index/index-document.ts";
import { parseIndex } from "../../index/parse-index.ts";
import { RangeDigests } from "../../index/range-digest.ts";
import type { WholeIndex } from "../../index/rebuild-index.ts";
import { applyRanges } from "../../index/replace-ranges.ts";
import { type IndexFailure, type IndexFloors, verifyIndex } from "../../index/verify-index.ts";
import { type Violation, violation } from "../violation.ts";
import type { StoredIndex } from "./record.ts";

/** What became of an offer. */
export type OfferOutcome =
  | {
      readonly kind: "accepted";
      readonly before: IndexDocument | undefined;
      readonly document: IndexDocument;
      readonly index: StoredIndex;
    }
  | { readonly kind: "unchanged" }
  | { readonly kind: "needFull" }
  | {
      readonly kind: "refused";
      readonly epoch: bigint;
      readonly sequence: bigint;
      readonly digest: string;
      readonly code: IndexFailure;
      readonly detail: string;
      readonly retryable: boolean;
    }
  /** The body comes by BlobFetch. */
  | { readonly kind: "fetching" }
  | { readonly kind: "violation"; readonly violation: Violation };

/** An index whose body is being fetched. Kept in memory: it is at most 8 MiB and cheap to fetch again. */
interface Fetching {
  readonly digest: Digest;
  readonly signatures: readonly EnvelopeSignature[];
  readonly body: Uint8Array;
  received: number;
  requested: boolean;
}

/** The index in force at the agent, and the judgement of offers (architecture §2.2). */
export class IndexHolding {
  readonly #cluster: string;
  readonly #keys: KeyLookup;
  #stored: StoredIndex | undefined;
  #document: IndexDocument | undefined;
  #fetching: Fetching | undefined = undefined;
  #times: IndexTimes | undefined = undefined;
  #ownRanges: { readonly document: IndexDocument; readonly digests: RangeDigests } | undefined = undefined;

  constructor(cluster: string, keys: KeyLookup, stored: StoredIndex | undefined) {
    this.#cluster = cluster;
    this.#keys = keys;
    this.#stored = stored;
    this.#document = stored === undefined ? undefined : documentOf(stored);
  }

  /** The index in force. */
  get document(): IndexDocument | undefined {
    return this.#document;
  }

  /** Digest of the index in force; empty when there is none. */
  get digest(): string {
    return this.#stored?.digest ?? "";
  }

  /**
   * Milliseconds until the index in force runs out; 0 or less when it has: last good state is kept, said to be stale, and nothing new
   * follows from it (lessons §7.3). A wall clock that is set back does not extend it: it never lives longer than its own validity
   * since this process took it.
   */
  freshForMs(nowMs: number, wallMs: number): number {
    if (this.#document === undefined) return Infinity;
    this.#times ??= timesOf(this.#document, nowMs);
    return Math.min(this.#times.expiresMs - wallMs, this.#times.outlivedMs - nowMs);
  }

  /** Judges an offer. On "accepted" the holding has moved on; the caller persists `index` in the same step. */
  offer(offer: IndexOffer, wallMs: number): OfferOutcome {
    switch (offer.form.case) {
      case "full":
        this.#fetching = undefined;
        return this.#judge(offer.form.value.body, signaturesOf(offer.form.value.signatures), undefined, wallMs);
      case "diff":
        this.#fetching = undefined;
        return this.#diff(offer.form.value, wallMs);
      case "ranges":
        this.#fetching = undefined;
        return this.#ranges(offer.form.value, wallMs);
      case "unchanged":
        return this.#unchanged(offer.form.value);
      case "reference":
        return this.#reference(offer.form.value);
      case undefined:
        return broken("index offer: one of full, diff, ranges, unchanged, reference");
    }
  }

  /** Range digests of the index in force, kept from the question until the offer that follows it. */
  ranges(document: IndexDocument): RangeDigests {
    if (this.#ownRanges?.document !== document) this.#ownRanges = { document, digests: new RangeDigests(document) };
    return this.#ownRanges.digests;
  }

  /** The fetch that should be sent now: digest and offset of an index by reference. */
  get wanted(): { readonly digest: Digest; readonly offset: number } | undefined {
    const fetching = this.#fetching;
    if (fetching === undefined || fetching.requested) return undefined;
    return { digest: fetching.digest, offset: fetching.received };
  }

  /** The fetch was sent. */
  requested(): void {
    if (this.#fetching !== undefined) this.#fetching.requested = true;
  }

  /** The stream ended, or the hub could not deliver: ask again from where it stopped when an offer says so. */
  interrupted(digest: string): void {
    if (digest === "") this.#ownRanges = undefined;
    if (digest === "" || this.#fetching?.digest === digest) this.#fetching = undefined;
  }

  /** True when a chunk belongs to an index by reference. */
  expects(digest: string): boolean {
    return this.#fetching?.digest === digest;
  }

  /** Takes a chunk of an index by reference; undefined while more is to come. */
  chunk(chunk: BlobChunk, wallMs: number): OfferOutcome | undefined {
    const fetching = this.#fetching;
    if (fetching === undefined || fetching.digest !== chunk.digest) return undefined;
    if (Number(chunk.total) !== fetching.body.length || Number(chunk.offset) !== fetching.received)
      return broken(`index chunk: offset ${fetching.received} of ${fetching.body.length} bytes`);
    if (chunk.data.length > fetching.body.length - fetching.received) return broken("index chunk: beyond the end");
    fetching.body.set(chunk.data, fetching.received);
    fetching.received += chunk.data.length;
    if (fetching.received < fetching.body.length) return undefined;
    this.#fetching = undefined;
    return this.#judge(fetching.body, fetching.signatures, undefined, wallMs);
  }

  #unchanged(unchanged: IndexUnchanged): OfferOutcome {
    return unchanged.digest === this.digest && this.digest !== "" ? { kind: "unchanged" } : { kind: "needFull" };
  }

  #diff(diff: IndexDiff, wallMs: number): OfferOutcome {
    const base = this.#whole;
    if (base === undefined || diff.baseDigest !== this.digest) return { kind: "needFull" };
    return this.#rebuilt(applyDiff(base, diff), diff.signatures, wallMs);
  }

  #ranges(offer: IndexRanges, wallMs: number): OfferOutcome {
    const base = this.#whole;
    if (base === undefined || offer.baseDigest !== this.digest) return { kind: "needFull" };
    const rebuilt = applyRanges(base, this.ranges(base.document), offer);
    this.#ownRanges = undefined;
    return this.#rebuilt(rebuilt, offer.signatures, wallMs);
  }

  get #whole(): WholeIndex | undefined {
    const [document, stored] = [this.#document, this.#stored];
    return document === undefined || stored === undefined ? undefined : { document, body: stored.body };
  }

  #rebuilt(index: WholeIndex | undefined, signatures: readonly IndexSignature[], wallMs: number): OfferOutcome {
    if (index === undefined) return { kind: "needFull" };
    return this.#judge(index.body, signaturesOf(signatures), index.document, wallMs);
  }

  #reference(reference: IndexReference): OfferOutcome {
    const { digest } = reference;
    const size = Number(reference.size);
    if (!isDigest(digest)) return broken("index reference digest: sha256: and 64 hex digits");
    if (digest === this.digest) return { kind: "unchanged" };
    if (size > MAX_INDEX_BYTES) {
      const detail = `${size} bytes; an index has at most ${MAX_INDEX_BYTES}`;
      return { kind: "refused", epoch: 0n, sequence: 0n, digest, code: "TOO_LARGE", detail, retryable: false };
    }
    this.#fetching = {
      digest,
      signatures: signaturesOf(reference.signatures),
      body: new Uint8Array(size),
      received: 0,
      requested: false,
    };
    return { kind: "fetching" };
  }

  /** @param rebuilt what `body` is the encoding of, when parts were put together here */
  #judge(
    body: Uint8Array,
    signatures: readonly EnvelopeSignature[],
    rebuilt: IndexDocument | undefined,
    wallMs: number,
  ): OfferOutcome {
    const verdict = verifyIndex({
      offer: { payloadType: PAYLOAD_TYPES.index, body, signatures },
      ...(rebuilt === undefined ? {} : { rebuilt }),
      held: this.#document,
      cluster: this.#cluster,
      keys: this.#keys,
      floors: this.#floors(),
      nowMs: wallMs,
    });
    if (!verdict.ok) {
      // Parts that do not rebuild the signed bytes say nothing about the index itself: judge the full form.
      if (rebuilt !== undefined && (verdict.code === "SIGNATURE_INVALID" || verdict.code === "MALFORMED"))
        return { kind: "needFull" };
      const position = positionOf(body);
      return { kind: "refused", ...position, code: verdict.code, detail: verdict.detail, retryable: verdict.retryable };
    }
    if (verdict.outcome === "unchanged") return { kind: "unchanged" };
    const before = this.#document;
    this.#document = verdict.document;
    this.#stored = { body, signatures, digest: verdict.digest };
    this.#times = undefined;
    return { kind: "accepted", before, document: this.#document, index: this.#stored };
  }

  /** The floors are the index in force itself: one row, so they cannot come apart. */
  #floors(): IndexFloors | undefined {
    const [document, stored] = [this.#document, this.#stored];
    if (document === undefined || stored === undefined) return undefined;
    const { epoch, sequence } = document;
    return { epoch, sequence, digest: stored.digest };
  }
}

/** When the index in force runs out. Read at the first look after it came or the process started. */
interface IndexTimes {
  /** Its own word, Unix milliseconds. */
  readonly expiresMs: number;
  /** Monotonic time after which it has been in force for longer than it is valid at all. */
  readonly outlivedMs: number;
}

function timesOf({ issuedAt, expiresAt }: IndexDocument, nowMs: number): IndexTimes {
  const expiresMs = Date.parse(expiresAt);
  return { expiresMs, outlivedMs: nowMs + expiresMs - Date.parse(issuedAt) };
}

function documentOf(stored: StoredIndex): IndexDocument {
  const parsed = parseIndex(stored.body);
  if (!parsed.ok)
    throw new InvariantViolation(
      `the stored index is not what was verified: ${parsed.field}: expected ${parsed.expected}`,
    );
  return parsed.document;
}

function signaturesOf(signatures: readonly IndexSignature[]): EnvelopeSignature[] {
  return signatures.map(({ keyId, signature }) => ({ keyId, signature }));
}

/** What the report of a refusal names. The digest identifies the offer; the position is what the body claims, if it can be read. */
function positionOf(body: Uint8Array): { epoch: bigint; sequence: bigint; digest: string } {
  const parsed = parseIndex(body);
  return {
    epoch: parsed.ok ? BigInt(parsed.document.epoch) : 0n,
    sequence: parsed.ok ? BigInt(parsed.document.sequence) : 0n,
    digest: digestOf(body),
  };
}

function broken(message: string): OfferOutcome {
  return { kind: "violation", violation: violation(ProtocolError_Code.INVALID, message) };
}
