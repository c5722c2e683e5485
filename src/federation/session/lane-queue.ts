import { SparseMap } from "../../base/sparse-map.ts";
import { LANES, type Lane } from "./lane.ts";
import { QUEUED_BYTES, QUEUED_MESSAGES } from "./limits.ts";
import type { Payload } from "./payload.ts";

/** A message that waits for the writer. */
export interface QueuedMessage<Tag> {
  readonly lane: Lane;
  payload: Payload;
  bytes: number;
  readonly key: string;
  readonly tag: Tag | undefined;
  /** Frame of the peer that this message answers and its header acknowledges, not sooner; 0 when it is none. */
  readonly settles: number;
}

/**
 * Messages that wait for the one writer of a stream, by lane. Bounded in bytes and in number (lessons §4.1). Only messages that are
 * not derived from state wait here; offers, reports, facts and chunks are pulled when there is room.
 */
export class LaneQueue<Tag> {
  readonly #lanes: SparseMap<Lane, QueuedMessage<Tag>[]> = new SparseMap();
  #bytes = 0;
  #messages = 0;

  /** Bytes waiting. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages waiting. */
  get length(): number {
    return this.#messages;
  }

  /**
   * Adds a message; with a non-empty `key` it replaces a waiting one of the same key and lane. Returns false, and adds nothing,
   * at the budget.
   */
  push(lane: Lane, payload: Payload, bytes: number, key = "", tag?: Tag, settles = 0): boolean {
    let waiting = this.#lanes.get(lane);
    if (key !== "" && waiting !== undefined) {
      for (const other of waiting) {
        if (other.key !== key) continue;
        this.#bytes += bytes - other.bytes;
        other.payload = payload;
        other.bytes = bytes;
        return true;
      }
    }
    if (this.#bytes + bytes > QUEUED_BYTES || this.#messages >= QUEUED_MESSAGES) return false;
    if (waiting === undefined) {
      waiting = [];
      this.#lanes.set(lane, waiting);
    }
    waiting.push({ lane, payload, bytes, key, tag, settles });
    this.#bytes += bytes;
    this.#messages++;
    return true;
  }

  /** The next message of a lane, without taking it. */
  peek(lane: Lane): QueuedMessage<Tag> | undefined {
    // Asked for each lane in every step, and mostly nothing waits.
    return this.#messages === 0 ? undefined : this.#lanes.get(lane)?.[0];
  }

  /** Takes the next message of a lane. */
  shift(lane: Lane): QueuedMessage<Tag> | undefined {
    const waiting = this.#lanes.get(lane);
    const message = waiting?.shift();
    if (waiting === undefined || message === undefined) return undefined;
    // An idle session keeps no empty lists.
    if (waiting.length === 0) this.#lanes.delete(lane);
    this.#bytes -= message.bytes;
    this.#messages--;
    return message;
  }

  /** Lanes in the order of the writer. */
  static readonly order: readonly Lane[] = LANES;
}
