/** Version of the tables below, kept in `PRAGMA user_version`. */
export const OUTBOX_SCHEMA_VERSION = 2;

/** Tables of the agent's store. One row per fact that moves as one. */
export const OUTBOX_SCHEMA = `
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  store_id TEXT NOT NULL,
  term INTEGER NOT NULL,
  revocation_serial INTEGER NOT NULL,
  audit_epoch INTEGER NOT NULL,
  audit_acked INTEGER NOT NULL,
  audit_last INTEGER NOT NULL,
  audit_last_hash BLOB NOT NULL,
  audit_dropped INTEGER NOT NULL
) STRICT;
CREATE TABLE held_index (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  digest TEXT NOT NULL,
  body BLOB NOT NULL,
  signatures TEXT NOT NULL
) STRICT;
CREATE TABLE items (
  key TEXT PRIMARY KEY,
  record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,
  held INTEGER NOT NULL,
  total INTEGER NOT NULL,
  checked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE blob_chunks (
  digest TEXT NOT NULL,
  start INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (digest, start)
) STRICT;
CREATE TABLE facts (
  key TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  report_version INTEGER NOT NULL,
  acked INTEGER NOT NULL DEFAULT 0,
  payload BLOB
) STRICT;
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  through INTEGER NOT NULL,
  event BLOB NOT NULL,
  hash BLOB NOT NULL,
  prev_hash BLOB NOT NULL,
  class INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_droppable ON audit (sequence) WHERE class = 1;
`;

/**
 * From version 1, which let go of a report's body when it was acknowledged: those have nothing to send until they are reported anew.
 */
export const OUTBOX_MIGRATION_2 = `
ALTER TABLE facts ADD COLUMN acked INTEGER NOT NULL DEFAULT 0;
UPDATE facts SET acked = report_version WHERE payload IS NULL;
`;
