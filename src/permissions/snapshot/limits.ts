/** Limits of a snapshot: checked before anything is allocated for it, and by the builder too (permissions §6.5). */

/** Schema this build writes and reads. */
export const SNAPSHOT_SCHEMA_VERSION = 2;
/** Subjects per snapshot. */
export const MAX_SUBJECTS = 100_000;
/** Bindings of all subjects together. */
export const MAX_BINDINGS = 1_000_000;
/** Distinct rule sets. */
export const MAX_RULE_SETS = 100_000;
/** Rules per rule set: what one profile may have on one cluster. */
export const MAX_RULES_PER_RULE_SET = 4_096;
/** Expanded entries of all rule sets together; bounds the memory of the index. */
export const MAX_TOTAL_ENTRIES = 4_000_000;
/** Largest content, bytes: what a federation blob may weigh. */
export const MAX_CONTENT_BYTES = 64 * 1024 * 1024;
/** Largest statement body, bytes. */
export const MAX_STATEMENT_BYTES = 4 * 1024;
/** Content up to this size stands inline in objects, bytes; above it goes into chunks. */
export const MAX_INLINE_CONTENT_BYTES = 512 * 1024;

/** Seconds after which a snapshot counts as stale, when nothing else is said. */
export const DEFAULT_FRESHNESS_WINDOW_SECONDS = 300;
/** Seconds after which a snapshot stops deciding, when nothing else is said. */
export const DEFAULT_MAX_OFFLINE_SECONDS = 86_400;
/** How far ahead of the local clock a statement may be issued, milliseconds. */
export const MAX_CLOCK_SKEW_MS = 5 * 60_000;
