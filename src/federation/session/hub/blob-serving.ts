import { create } from "@bufbuild/protobuf";
import {
  type BlobFetch,
  BlobUnavailableSchema,
  Nack_Class,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ProtocolError_Code } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { type Digest, isDigest } from "../../../base/digest.ts";
import { CHUNK_BYTES, MAX_SERVED_FETCHES } from "../limits.ts";
import { nack } from "../message.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import { type Violation, violation } from "../violation.ts";
import type { HubCounters } from "./counters.ts";
import type { HubEvent } from "./events.ts";
import type { Tokens } from "../tokens.ts";
import type { HubPipe, HubStep } from "./step.ts";

/** Header of a chunk frame in the byte budget. */
const CHUNK_HEADER_BYTES = 160;

interface Served {
  readonly digest: Digest;
  readonly token: number;
  /** Next byte to send. */
  offset: number;
  /** Undefined until the body is pinned. */
  total: number | undefined;
}

/**
 * Serves bodies by digest in chunks, round robin over the fetches of one agent. Holds digests and offsets, never bytes: the shell
 * keeps a pinned body, shared by all agents, until it is let go (lessons §4.1).
 */
export class BlobServing {
  readonly #tokens: Tokens;
  readonly #counters: HubCounters;
  readonly #served: Served[] = [];

  constructor(tokens: Tokens, counters: HubCounters) {
    this.#tokens = tokens;
    this.#counters = counters;
  }

  /** Bodies being served. */
  get length(): number {
    return this.#served.length;
  }

  /** A request for a body, or for the rest of one. */
  fetch(fetch: BlobFetch, pipe: HubPipe, step: HubStep): Violation | undefined {
    const { digest } = fetch;
    if (!isDigest(digest)) return violation(ProtocolError_Code.INVALID, "blob fetch digest: sha256: and 64 hex digits");
    const offset = Number(fetch.offset);
    const running = this.#served.find((other) => other.digest === digest);
    if (running !== undefined) {
      if (running.total === undefined || offset <= running.total) running.offset = offset;
      return undefined;
    }
    if (this.#served.length >= MAX_SERVED_FETCHES) {
      refuse(pipe, digest, Nack_Class.BUSY, "TOO_MANY_FETCHES", `at most ${MAX_SERVED_FETCHES} bodies at a time`);
      return undefined;
    }
    const token = this.#tokens.next();
    this.#served.push({ digest, token, offset, total: undefined });
    step.out.push({ type: "PinBlob", token, digest });
    return undefined;
  }

  /** The shell holds the body, or cannot. */
  pinned(event: HubEvent & { readonly type: "BlobPinned" }, pipe: HubPipe | undefined, step: HubStep): void {
    const { token, size, busy, corrupt } = event;
    const served = this.#served.find((other) => other.token === token);
    if (served === undefined) {
      return; // the stream ended meanwhile; its UnpinBlob was already said
    }
    if (size !== undefined && served.offset <= size) {
      served.total = size;
      return;
    }
    this.#end(served, step);
    if (pipe === undefined) return;
    if (size !== undefined)
      refuse(pipe, served.digest, Nack_Class.INVALID, "OFFSET_BEYOND_END", `the body has ${size} bytes`);
    else if (busy) refuse(pipe, served.digest, Nack_Class.BUSY, "HUB_BUSY", "too many bodies in memory");
    else if (corrupt === true)
      // Final: what is stored cannot be what was signed, until a person restores it and has the item retried.
      refuse(pipe, served.digest, Nack_Class.UNTRUSTED, "DIGEST_MISMATCH", "the stored body was altered", false);
    else
      refuse(
        pipe,
        served.digest,
        Nack_Class.INTERNAL,
        "BLOB_UNAVAILABLE",
        "not named by the current index, or not at hand",
      );
  }

  /** Sends chunks while there is room. */
  pump(pipe: HubPipe, step: HubStep): void {
    let waiting = this.#served.length;
    while (waiting > 0 && !pipe.blocked) {
      const served = this.#served.shift();
      if (served === undefined) return;
      const { total } = served;
      if (total === undefined) {
        this.#served.push(served);
        waiting--;
        continue;
      }
      const length = Math.min(CHUNK_BYTES, total - served.offset);
      const bytes = CHUNK_HEADER_BYTES + length;
      if (!pipe.sending.hasRoom("bulk", bytes)) {
        this.#served.unshift(served);
        return;
      }
      const { digest, offset } = served;
      pipe.send(step.out, "bulk", { kind: "chunk", digest, offset, length, total }, bytes, step.nowMs);
      this.#counters.chunksSent++;
      served.offset += length;
      if (served.offset >= total) {
        step.out.push({ type: "UnpinBlob", token: served.token, digest });
        waiting--;
      } else {
        this.#served.push(served);
      }
    }
  }

  /** The stream ended: nothing is served any more. */
  closed(step: HubStep): void {
    for (const served of this.#served) step.out.push({ type: "UnpinBlob", token: served.token, digest: served.digest });
    this.#served.length = 0;
  }

  #end(served: Served, step: HubStep): void {
    this.#served.splice(this.#served.indexOf(served), 1);
    step.out.push({ type: "UnpinBlob", token: served.token, digest: served.digest });
  }
}

function refuse(
  pipe: HubPipe,
  digest: string,
  classOf: Nack_Class,
  reason: string,
  detail: string,
  retryable = true,
): void {
  const value = create(BlobUnavailableSchema, { digest, nack: nack(classOf, retryable, reason, detail) });
  const payload: Payload = { case: "blobUnavailable", value };
  pipe.queue.push("acknowledgement", payload, payloadBytes(payload), `blob/${digest}`);
}
