import { auditHash, closedRange, parseAuditEvent } from "./audit-chain.ts";
import type { Asking } from "./asking.ts";

/** One stored event as its chain sees it. */
export interface ChainedEvent {
  readonly sequence: bigint;
  readonly event: Uint8Array;
  readonly prevHash: Uint8Array;
  readonly hash: Uint8Array;
}

/**
 * What is wrong with a chain at one number. `missing`: numbers that nothing explains; `altered`: the event is not what was hashed;
 * `broken`: the event does not follow the one before it.
 */
export interface ChainBreak {
  readonly kind: "missing" | "altered" | "broken";
  /** First number concerned. */
  readonly from: bigint;
  /** Last number concerned; equals `from` unless numbers are missing. */
  readonly to: bigint;
}

/** How far a verification has come; plain data, so that it can go on in another slice. */
export interface ChainState {
  /** The number that must come next. */
  readonly next: bigint;
  /** Hash that the next event must follow; undefined after numbers that a record explains, whose hashes are gone. */
  readonly previous: Uint8Array | undefined;
  /** Events whose hash and link hold. */
  readonly verified: bigint;
  /** Numbers that records explain: lost with a tenant's store, dropped at its cap, or refused and kept in quarantine. */
  readonly explained: bigint;
  readonly breaks: number;
  readonly firstBreak: ChainBreak | undefined;
}

/** The state before an event of number `next` that follows `previous`. */
export function chainStart(next: bigint, previous: Uint8Array | undefined): ChainState {
  return { next, previous, verified: 0n, explained: 0n, breaks: 0, firstBreak: undefined };
}

/** Asked of a store: up to which number do records explain numbers from this one on? Undefined when they do not explain it. */
export type Verifying<Result> = Asking<bigint, bigint | undefined, Result>;

/** One event further. A break is counted and the verification goes on after it, so that one look names the first and counts all. */
export function* verifyNext(state: ChainState, stored: ChainedEvent): Verifying<ChainState> {
  let now = state.next < stored.sequence ? yield* passExplained(state, stored.sequence) : state;
  if (now.next < stored.sequence) {
    now = withBreak(now, { kind: "missing", from: now.next, to: stored.sequence - 1n });
    now = { ...now, next: stored.sequence, previous: undefined };
  }
  const { sequence, event, prevHash, hash } = stored;
  const altered = Buffer.compare(auditHash(prevHash, sequence, event), hash) !== 0;
  const follows = now.previous === undefined || Buffer.compare(now.previous, prevHash) === 0;
  if (altered) now = withBreak(now, { kind: "altered", from: sequence, to: sequence });
  else if (!follows) now = withBreak(now, { kind: "broken", from: sequence, to: sequence });
  else now = { ...now, verified: now.verified + 1n };
  const standing = altered ? undefined : standingRange(stored);
  if (standing === undefined) return { ...now, next: sequence + 1n, previous: hash };
  return {
    ...now,
    next: standing.to + 1n,
    previous: standing.lastHash,
    explained: now.explained + (standing.to - sequence),
  };
}

/** After the last event: numbers up to `highest` must be there too. */
export function* verifyEnd(state: ChainState, highest: bigint): Verifying<ChainState> {
  const now = yield* passExplained(state, highest + 1n);
  if (now.next > highest) return now;
  return { ...withBreak(now, { kind: "missing", from: now.next, to: highest }), next: highest + 1n };
}

/** A slice of a verification. */
export interface VerifiedSlice {
  readonly state: ChainState;
  /** True at the end of the chain. */
  readonly done: boolean;
}

/**
 * A slice from `from` on, or from the floor: `rows` are the chain's next events, at most `limit`, and `highest` is where it ends for
 * this verification. A state that retention has overtaken goes on at the floor.
 */
export function* verifySlice(
  start: ChainState,
  rows: readonly ChainedEvent[],
  limit: number,
  highest: bigint,
): Verifying<VerifiedSlice> {
  let state = start;
  for (const row of rows) {
    // What came after the look at the chain is not asked about: its predecessors may still be under way.
    if (row.sequence > highest) break;
    state = yield* verifyNext(state, row);
  }
  if (rows.length === limit && state.next <= highest) return { state, done: false };
  return { state: yield* verifyEnd(state, highest), done: true };
}

/** Where a slice begins: at the state so far, or at the floor that has overtaken it. */
export function sliceStart(floor: ChainState, from: ChainState | undefined): ChainState {
  if (from === undefined) return floor;
  return from.next < floor.next ? { ...from, next: floor.next, previous: floor.previous } : from;
}

/** A slice of retention. */
export interface RetainedSlice {
  readonly removed: number;
  /** True when nothing older is left. */
  readonly done: boolean;
}

/** What a step of retention removes from the beginning of a chain. */
export interface RetainedPart extends RetainedSlice {
  /** The state after what is removed: its `next` is one above the new floor. */
  readonly state: ChainState;
}

/** The beginning of `rows` that was received before `before`: always a beginning, so that what is left is one chain above one floor. */
export function* retainSlice(
  start: ChainState,
  rows: readonly (ChainedEvent & { readonly receivedAt: string })[],
  limit: number,
  before: string,
): Verifying<RetainedPart> {
  let state = start;
  let removed = 0;
  for (const row of rows) {
    if (row.receivedAt >= before) break;
    state = yield* verifyNext(state, row);
    removed += 1;
  }
  return { state, removed, done: removed < rows.length || rows.length < limit };
}

function* passExplained(state: ChainState, until: bigint): Verifying<ChainState> {
  let { next, explained, previous } = state;
  while (next < until) {
    const through = yield next;
    if (through === undefined || through < next) break;
    const last = through < until ? through : until - 1n;
    explained += last - next + 1n;
    next = last + 1n;
    previous = undefined;
  }
  return { ...state, next, explained, previous };
}

function withBreak(state: ChainState, found: ChainBreak): ChainState {
  return { ...state, breaks: state.breaks + 1, firstBreak: state.firstBreak ?? found };
}

const LAST_HASH = '"lastHash"';
const HASH = /^[0-9a-f]{64}$/;

/** Of a record in the place of numbers that were dropped, or lost with a damaged store: it hands on the hash of the last. */
function standingRange({
  sequence,
  event,
}: ChainedEvent): { readonly to: bigint; readonly lastHash: Uint8Array } | undefined {
  // Reading every event as JSON would cost more than all of its hashing.
  if (!Buffer.from(event.buffer, event.byteOffset, event.length).includes(LAST_HASH)) return undefined;
  const fields = parseAuditEvent(event);
  const range = closedRange(fields);
  const { lastHash } = fields;
  if (range?.from !== sequence || typeof lastHash !== "string" || !HASH.test(lastHash)) return undefined;
  return { to: range.to, lastHash: Buffer.from(lastHash, "hex") };
}
