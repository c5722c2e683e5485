/** Version of the sink's tables. */
export const AUDIT_SCHEMA_VERSION = 2;

/** permissions §12.3: one row per event, unique on (cluster, epoch, sequence); searchable columns beside the signed-for JSON. */
const VERSION_1 = `
CREATE TABLE audit_events (
  cluster TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  event_time TEXT NOT NULL,
  received_at TEXT NOT NULL,
  subject TEXT NOT NULL,
  action TEXT NOT NULL,
  resource TEXT NOT NULL,
  decision TEXT NOT NULL,
  event BLOB NOT NULL,
  prev_hash BLOB NOT NULL,
  hash BLOB NOT NULL,
  chained INTEGER NOT NULL,
  PRIMARY KEY (cluster, epoch, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_by_subject ON audit_events (subject, event_time);
CREATE INDEX audit_by_action ON audit_events (action, event_time);
CREATE TABLE audit_ranges (
  cluster TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (cluster, epoch, first, last)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_conflicts (
  cluster TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL,
  event BLOB NOT NULL,
  received_at TEXT NOT NULL,
  PRIMARY KEY (cluster, epoch, sequence, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_positions (
  cluster TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  contiguous INTEGER NOT NULL,
  highest INTEGER NOT NULL,
  PRIMARY KEY (cluster, epoch)
) STRICT, WITHOUT ROWID;
`;

/** Order of arrival, by which the log is read, and floors, below which retention removed it. */
const VERSION_2 = `
ALTER TABLE audit_events ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;
UPDATE audit_events SET arrival = numbered.place FROM (
  SELECT cluster, epoch, sequence, row_number() OVER (ORDER BY received_at, cluster, epoch, sequence) AS place FROM audit_events
) AS numbered
WHERE audit_events.cluster = numbered.cluster AND audit_events.epoch = numbered.epoch AND audit_events.sequence = numbered.sequence;
DROP INDEX audit_by_subject;
DROP INDEX audit_by_action;
CREATE UNIQUE INDEX audit_by_arrival ON audit_events (arrival);
CREATE INDEX audit_by_cluster ON audit_events (cluster, arrival);
CREATE INDEX audit_by_subject ON audit_events (subject, arrival);
CREATE INDEX audit_by_action ON audit_events (action, arrival);
CREATE TABLE audit_floors (
  cluster TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  through INTEGER NOT NULL,
  hash BLOB,
  removed INTEGER NOT NULL,
  breaks INTEGER NOT NULL,
  removed_at TEXT NOT NULL,
  PRIMARY KEY (cluster, epoch)
) STRICT, WITHOUT ROWID;
`;

/** Statements that lead from one version to the next; index 0 creates the first. */
export const AUDIT_MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2];
