import type { BackoffPolicy } from "../../base/backoff.ts";

/** Limits of one session. Every one has its unit in its name; docs/protocol.md lists them for implementers. */

/** Protocol versions this build speaks, ascending (Hello.protocol_versions). The hub takes the highest that both do. */
export const PROTOCOL_VERSIONS: readonly number[] = [1, 2, 3];
/** From this version on an accepted index says that its revocation floors are in force. */
export const FLOORS_VERSION = 2;
/** From this version on an agent may report several items, and the index that brought them, in one frame (ItemReports). */
export const REPORTS_VERSION = 3;

/** Largest frame on the wire, bytes; a larger one is refused while it is parsed (lessons §4.6). */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** Room kept for an envelope's header and for protobuf tags when deciding whether a body fits into one frame, bytes. */
export const FRAME_OVERHEAD_BYTES = 4096;
/** Data in one BlobChunk, bytes. */
export const CHUNK_BYTES = 256 * 1024;
/** Largest body that rides with an offer, bytes. */
export const INLINE_BLOB_BYTES = 64 * 1024;
/** All bodies that ride with one offer, bytes. */
export const INLINE_TOTAL_BYTES = 256 * 1024;
/** Longest human text in a frame, UTF-16 code units (R-4 text limits of 1 KiB). */
export const MAX_DETAIL_LENGTH = 1024;

/** Most numbered frames one side may have unacknowledged. */
export const WINDOW_FRAMES = 64;
/** Part of the window that only revocations, acknowledgements, deletes and commands may use. */
export const RESERVED_WINDOW_FRAMES = 16;
/** Part of the window that only revocations may use. */
export const RESERVED_REVOCATION_FRAMES = 4;
/** Bytes that update and bulk may bring what is unacknowledged to; a single larger frame may travel alone (lessons §4.1). */
export const IN_FLIGHT_BYTES = 256 * 1024;
/** Part of {@link UNACKNOWLEDGED_BYTES} that only revocations may use, so that they wait for nobody's acknowledgement. */
export const RESERVED_REVOCATION_BYTES = 256 * 1024;
/** Bytes one side may have unacknowledged on all lanes together, whatever the peer leaves unacknowledged. */
export const UNACKNOWLEDGED_BYTES = MAX_FRAME_BYTES + RESERVED_REVOCATION_BYTES;
/** Bytes one session may have queued before it is flagged "needs resync" (lessons §4.1). */
export const QUEUED_BYTES = 1024 * 1024;
/** Keys of refused news that one session remembers; beyond it the next stream brings them. */
export const MAX_REFUSED_KEYS = 50_000;
/** Most bytes that one session holds for its peer, queued and unacknowledged: the budget in `base + agents × budget` (docs/scale.md). */
export const SESSION_BUDGET_BYTES = QUEUED_BYTES + UNACKNOWLEDGED_BYTES;
/** Messages one session may have queued, whatever their size. */
export const QUEUED_MESSAGES = 1024;

/** Frames received and not yet acknowledged after which an acknowledgement leaves at once. */
export const ACKNOWLEDGE_EVERY_FRAMES = 16;
/** Bytes received and not yet acknowledged after which an acknowledgement leaves at once: the peer's byte budget is small. */
export const ACKNOWLEDGE_EVERY_BYTES = 64 * 1024;
/** Longest wait of an acknowledgement for a frame to ride on, milliseconds. */
export const ACKNOWLEDGE_DELAY_MS = 20;

/** The same for a frame whose sender has nothing more to say until it hears something new, milliseconds. */
export const ACKNOWLEDGE_REST_MS = 2_000;

/** Longest wait of an item's report for the next level, milliseconds: a level implies the lower ones, and quick phases become one report. */
export const ITEM_REPORT_DELAY_MS = 10;

/** Longest wait of the word that an index is accepted for the reports of its items, milliseconds: they leave in one frame. */
export const INDEX_REPORT_DELAY_MS = 10;
/** Item reports in one frame. */
export const REPORTS_PER_FRAME = 1_024;
/** Bytes of the item reports in one frame: two such frames may be unacknowledged ({@link IN_FLIGHT_BYTES}). */
export const REPORTS_FRAME_BYTES = 128 * 1024;

/** Period of heartbeats, milliseconds; sent with ±10 % jitter. */
export const HEARTBEAT_INTERVAL_MS = 30_000;
/** Unanswered heartbeats that end a stream. */
export const HEARTBEATS_MISSED_LIMIT = 3;
/** Silence that ends a stream, milliseconds. */
export const SILENCE_LIMIT_MS = 95_000;
/** A tick that comes later than asked by this much means this process was stopped, milliseconds: the peer gets that time back. */
export const PAUSE_DETECTION_MS = 5_000;
/** Longest wait for Hello or Welcome on an open stream, milliseconds (lessons §1.5). */
export const HELLO_DEADLINE_MS = 10_000;
/** Longest wait for the shell's session facts at hello, milliseconds. */
export const LOAD_DEADLINE_MS = 30_000;
/** Longest wait for the transport to drain after it refused more, milliseconds (lessons §4.3). */
export const DRAIN_TIMEOUT_MS = 60_000;
/** Longest time an agent may leave the oldest frame unacknowledged, milliseconds. */
export const ACKNOWLEDGEMENT_STALL_MS = 120_000;
/** Time between a Goodbye and the destruction of its stream, milliseconds. */
export const GOODBYE_LINGER_MS = 1_000;

/** Reconnect policy: full jitter (lessons §1.7). */
export const RECONNECT: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 30_000 };
/** Doublings after which the ceiling of {@link RECONNECT} is its cap. */
export const RECONNECT_DOUBLINGS = Math.ceil(Math.log2(RECONNECT.capMs / RECONNECT.baseMs));
/** Health that takes back one doubling, milliseconds: after a minute of it the policy starts again, whatever was before (lessons §1.7). */
export const HEALTH_PER_DOUBLING_MS = 60_000 / RECONNECT_DOUBLINGS;
/** Doublings that a dial starts with which a hub answered and broke off: it sheds what it has no time for, and half a second is too soon. */
export const BROKEN_OFF_DOUBLINGS = 3;
/**
 * Reconnect policy after a dial that no hub answered: no TCP, or silence until the deadline of the TLS handshake. It cost no hub any work
 * and tells nothing about a hub's load, so its ceiling is lower (docs/scale.md, "Coming back").
 */
export const REDIAL: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 5_000 };
/** Least wait after SUPERSEDED, milliseconds. */
export const SUPERSEDED_WAIT_MS = 30_000;
/** Longest retry-after an agent obeys, milliseconds: a hub cannot send its agents away for ever. */
export const MAX_RETRY_AFTER_MS = 600_000;

/** Bodies one agent fetches at a time. */
export const MAX_FETCHES = 4;
/** Bodies a hub serves to one agent at a time; one more is answered BUSY. */
export const MAX_SERVED_FETCHES = 8;
/** Handlers of verify, apply and remove that run at a time on one agent. Waiting for health is not counted. */
export const MAX_RUNNING_HANDLERS = 8;
/** Backoff between attempts after a retryable nack of an item. */
export const ITEM_RETRY: BackoffPolicy = { baseMs: 1_000, factor: 2, capMs: 300_000 };
/** Backoff between fetches of a body the hub could not deliver. */
export const FETCH_RETRY: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 60_000 };
/** Backoff between offers of an index that was refused with a retryable nack. */
export const OFFER_RETRY: BackoffPolicy = { baseMs: 1_000, factor: 2, capMs: 60_000 };
/** Backoff between attempts to store a fact. */
export const STORE_RETRY: BackoffPolicy = { baseMs: 250, factor: 2, capMs: 30_000 };
/** Smallest index whose ranges are compared when the hub does not have what the agent holds, bytes: a smaller one is sent whole. */
export const COMPARED_BODY_BYTES = 16 * 1024;
/** Longest wait for a RangeDigestReply before the index is sent whole, milliseconds. */
export const COMPARE_DEADLINE_MS = 10_000;
/** Ranges in one RangeDigestRequest. */
export const MAX_COMPARED_PATHS = 32;
/** Agents of one hub whose answer is compared with ranges that the hub computes and holds, at a time (lessons §5.2). */
export const MAX_COMPARING_AGENTS = 20;
/** Longest wait for an IndexReport before the index is offered again, milliseconds (lessons §3.8). */
export const OFFER_SWEEP_MS = 60_000;
/** The same for an index by reference, whose body is fetched first: at most 8 MiB. */
export const REFERENCE_SWEEP_MS = 600_000;

/** State-lane reports an agent loads from its outbox at a time. */
export const FACT_LOAD_BATCH = 16;
/** Largest state-lane report, bytes. */
export const MAX_FACT_BYTES = 512 * 1024;
/** Different keys the state lane of one agent may hold. */
export const MAX_FACT_KEYS = 50_000;

/** Events in one audit batch. */
export const AUDIT_BATCH_EVENTS = 100;
/** Bytes in one audit batch. */
export const AUDIT_BATCH_BYTES = 256 * 1024;
/** Audit batches in flight. */
export const AUDIT_IN_FLIGHT = 8;

/** Requests (validation, renewal) one agent may have open. */
export const MAX_OPEN_REQUESTS = 32;
/** Revocations the hub may have waiting for one agent. */
export const MAX_PENDING_REVOCATIONS = 10_000;
/** Operator's retries that wait for an agent to come back. */
export const MAX_PENDING_RETRIES = 256;
