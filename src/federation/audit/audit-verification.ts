import { auditHash, closedRange, parseAuditEvent } from "./audit-chain.ts";

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

/**
 * One event further. `explainedThrough(n)` says up to which number records explain numbers from `n` on, or undefined when they do not
 * explain `n`. A break is counted and the verification goes on after it, so that one look names the first and counts all.
 */
export function verifyNext(
  state: ChainState,
  stored: ChainedEvent,
  explainedThrough: (from: bigint) => bigint | undefined,
): ChainState {
  let now = passExplained(state, stored.sequence, explainedThrough);
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
  const dropped = altered ? undefined : droppedRange(stored);
  if (dropped === undefined) return { ...now, next: sequence + 1n, previous: hash };
  // The record stands in place of the first dropped number and hands on the hash of the last.
  return {
    ...now,
    next: dropped.to + 1n,
    previous: dropped.lastHash,
    explained: now.explained + (dropped.to - sequence),
  };
}

/** After the last event: numbers up to `highest` must be there too. */
export function verifyEnd(
  state: ChainState,
  highest: bigint,
  explainedThrough: (from: bigint) => bigint | undefined,
): ChainState {
  const now = passExplained(state, highest + 1n, explainedThrough);
  if (now.next > highest) return now;
  return { ...withBreak(now, { kind: "missing", from: now.next, to: highest }), next: highest + 1n };
}

function passExplained(
  state: ChainState,
  until: bigint,
  explainedThrough: (from: bigint) => bigint | undefined,
): ChainState {
  let { next, explained, previous } = state;
  while (next < until) {
    const through = explainedThrough(next);
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

const DROPPED = '"audit.dropped"';
const HASH = /^[0-9a-f]{64}$/;

function droppedRange({
  sequence,
  event,
}: ChainedEvent): { readonly to: bigint; readonly lastHash: Uint8Array } | undefined {
  // Reading every event as JSON would cost more than all of its hashing.
  if (!Buffer.from(event.buffer, event.byteOffset, event.length).includes(DROPPED)) return undefined;
  const fields = parseAuditEvent(event);
  if (fields["action"] !== "audit.dropped") return undefined;
  const range = closedRange(fields);
  const { lastHash } = fields;
  if (range?.from !== sequence || typeof lastHash !== "string" || !HASH.test(lastHash)) return undefined;
  return { to: range.to, lastHash: Buffer.from(lastHash, "hex") };
}
