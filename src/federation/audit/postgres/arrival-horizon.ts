/**
 * Order of arrival under several writers. Numbers are given before their transactions commit, so a reader that follows the log could
 * pass a number that commits later. Every writer therefore holds, from before its first number until its commit, a shared advisory
 * lock whose key says which number was the last one given; a reader goes no further than the lowest key held. The lock ends after
 * the commit is visible, so a key that is gone hides nothing.
 */

/** Upper 16 bits of the keys. */
const NAMESPACE = 0x5ea1;

/** Opens a writer's transaction; an acknowledgement promises durability whatever the server's default is. */
export const BEGIN_APPEND = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
SELECT pg_advisory_xact_lock_shared((${NAMESPACE}::bigint << 48) | CASE WHEN is_called THEN last_value ELSE 0 END) FROM seam_audit.arrivals`;

/** The last number given; must be read before {@link LOWEST_HELD}. */
export const LAST_GIVEN = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS given FROM seam_audit.arrivals";

/** The lowest key that a writer holds; NULL when nobody writes. */
export const LOWEST_HELD = `SELECT min(((classid::bigint & 65535) << 32) | objid::bigint) AS held FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND classid::bigint >> 16 = ${NAMESPACE}
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
