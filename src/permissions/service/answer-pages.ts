import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import type { Clock } from "../../base/clock.ts";
import type { HeldSnapshot, Refusal, SnapshotReader } from "../store/snapshot-reader.ts";
import type { FieldViolations } from "./field-violations.ts";
import type { PageTokens } from "./page-token.ts";
import { type Gate, NOT_LOADED } from "./question-gate.ts";

const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 500;
/** Characters of a page beyond which no entry is added: a message has at most 4 MiB. */
const MAX_PAGE_CHARACTERS = 512 * 1024;
/** A list that was begun longer ago is begun again, milliseconds: grants may have ended since. */
const PAGE_LIFETIME_MS = 600_000;

const CHANGED: Refusal = {
  code: "SNAPSHOT_CHANGED",
  reason: "the snapshot of this page token is no longer held; start again without a token",
};
const TOO_LATE: Refusal = {
  code: "SNAPSHOT_CHANGED",
  reason: "this list was begun more than ten minutes ago; start again without a token",
};

/** Where a page starts. */
export interface PageStart {
  readonly snapshot: HeldSnapshot;
  readonly offset: number;
  /** Moment of the list, Unix milliseconds: the entries of every page are those of this moment. */
  readonly atMs: number;
}

/** One page of a list. */
export interface Page<T> {
  readonly page: readonly T[];
  /** True when another one follows. */
  readonly more: boolean;
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Cuts answers into pages (permissions §11.2): each holds on to the snapshot and the moment of its list. */
export class AnswerPages {
  readonly #store: SnapshotReader;
  readonly #clock: Clock;
  readonly #tokens: PageTokens;

  constructor(store: SnapshotReader, clock: Clock, tokens: PageTokens) {
    this.#store = store;
    this.#clock = clock;
    this.#tokens = tokens;
  }

  /**
   * Where the page of a question starts, or why there is none: a token pins its snapshot as long as this store still holds it.
   *
   * @throws GrpcStatusError INVALID_ARGUMENT for a token that is not ours, or of another question
   */
  start(gate: Gate, question: string, token: string): PageStart | Refusal {
    const { snapshot } = gate;
    if (gate.refusal !== undefined || snapshot === undefined) return gate.refusal ?? NOT_LOADED;
    const nowMs = this.#clock.now();
    if (token === "") return { snapshot, offset: 0, atMs: nowMs };
    const position = this.#tokens.read(this.#named(question), token);
    if (position === undefined) throw invalidToken();
    if (Math.abs(nowMs - position.atMs) > PAGE_LIFETIME_MS) return TOO_LATE;
    const pinned = [snapshot, this.#store.previous].find(
      (held) => held !== undefined && pinOf(held) === position.version,
    );
    return pinned === undefined ? CHANGED : { snapshot: pinned, offset: position.offset, atMs: position.atMs };
  }

  /** A page ends with its size, or with the entry that makes it too long for one message: whatever stands in a rule, the list goes on. */
  slice<T>(
    list: readonly T[],
    start: PageStart,
    size: number,
    question: string,
    lengthOf: (entry: T) => number,
  ): Page<T> {
    const last = Math.min(list.length, start.offset + (size === 0 ? DEFAULT_PAGE : size));
    let end = start.offset;
    let length = 0;
    for (; end < last && length < MAX_PAGE_CHARACTERS; end++) {
      const entry = list[end];
      if (entry !== undefined) length += lengthOf(entry);
    }
    const more = end < list.length;
    const position = { version: pinOf(start.snapshot), offset: end, atMs: start.atMs };
    const nextPageToken = more ? this.#tokens.issue(this.#named(question), position) : "";
    return { page: list.slice(start.offset, end), more, nextPageToken };
  }

  /** Tokens of one process serve all its clusters, and none of them another's list. */
  #named(question: string): string {
    return JSON.stringify([this.#store.cluster, question]);
  }
}

/** Checks the size that was asked for. */
export function checkPageSize(size: number, violations: FieldViolations): void {
  if (size > MAX_PAGE) violations.add("pageSize", `is at most ${MAX_PAGE}, found ${size}`);
}

function pinOf({ pin, statement }: HeldSnapshot): string {
  return pin ?? statement.version;
}

function invalidToken(): GrpcStatusError {
  const description = "is the nextPageToken of the page before, of the same question; start again without a token";
  return new GrpcStatusError(
    Status.INVALID_ARGUMENT,
    { reason: "InvalidRequest", object: "page", field: "pageToken", expected: description },
    { violations: [{ field: "pageToken", description }] },
  );
}
