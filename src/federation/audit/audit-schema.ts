/** Version of the sink's tables. */
export const AUDIT_SCHEMA_VERSION = 4;

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

/**
 * Rows in the order of their arrival, which is how they are written and read; clusters and chains by number, so that an index entry has
 * a few bytes; what is not an index key is read from the event. `audit_arrivals` keeps counting when retention has removed every row:
 * a follower's place must not come twice.
 */
const VERSION_3 = `
CREATE TABLE audit_clusters (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO audit_clusters (name) SELECT DISTINCT cluster FROM audit_positions ORDER BY cluster;
CREATE TABLE audit_chains (
  chain INTEGER PRIMARY KEY,
  cluster INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  contiguous INTEGER NOT NULL,
  highest INTEGER NOT NULL,
  UNIQUE (cluster, epoch)
) STRICT;
INSERT INTO audit_chains (cluster, epoch, contiguous, highest)
  SELECT c.number, p.epoch, p.contiguous, p.highest FROM audit_positions p JOIN audit_clusters c ON c.name = p.cluster
  ORDER BY c.number, p.epoch;
ALTER TABLE audit_events RENAME TO audit_events_2;
DROP INDEX audit_by_arrival;
DROP INDEX audit_by_cluster;
DROP INDEX audit_by_subject;
DROP INDEX audit_by_action;
CREATE TABLE audit_events (
  arrival INTEGER PRIMARY KEY,
  cluster INTEGER NOT NULL,
  chain INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  subject TEXT NOT NULL,
  action TEXT NOT NULL,
  event BLOB NOT NULL,
  prev_hash BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;
INSERT INTO audit_events
  SELECT e.arrival, h.cluster, h.chain, e.sequence, CAST(round(1000 * unixepoch(e.received_at, 'subsec')) AS INTEGER), e.subject, e.action,
    e.event, e.prev_hash, e.hash
  FROM audit_events_2 e JOIN audit_clusters c ON c.name = e.cluster
    JOIN audit_chains h ON h.cluster = c.number AND h.epoch = e.epoch ORDER BY e.arrival;
CREATE UNIQUE INDEX audit_by_number ON audit_events (chain, sequence);
CREATE INDEX audit_by_cluster ON audit_events (cluster);
CREATE INDEX audit_by_subject ON audit_events (subject);
CREATE INDEX audit_by_action ON audit_events (action);
CREATE TABLE audit_arrivals (newest INTEGER NOT NULL) STRICT;
INSERT INTO audit_arrivals SELECT coalesce(max(arrival), 0) FROM audit_events;
DROP TABLE audit_events_2;
DROP TABLE audit_positions;
CREATE VIEW audit_log AS
  SELECT e.arrival, c.name AS cluster, h.epoch, e.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', e.received_ms / 1000.0, 'unixepoch') AS received_at,
    e.subject, e.action, CAST(e.event AS TEXT) AS event, lower(hex(e.hash)) AS hash
  FROM audit_events e JOIN audit_clusters c ON c.number = e.cluster JOIN audit_chains h ON h.chain = e.chain;
`;

/** Refused events with why, told apart by their content, and a count of those that found no place. */
const VERSION_4 = `
CREATE TABLE audit_quarantine (
  cluster TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  digest BLOB NOT NULL,
  code TEXT NOT NULL,
  received_at TEXT NOT NULL,
  event BLOB NOT NULL,
  prev_hash BLOB NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (cluster, epoch, sequence, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO audit_quarantine (cluster, epoch, sequence, digest, code, received_at, event, prev_hash, hash)
  SELECT cluster, epoch, sequence, hash, '', received_at, event, x'', hash FROM audit_conflicts;
DROP TABLE audit_conflicts;
CREATE TABLE audit_quarantine_overflows (
  cluster TEXT PRIMARY KEY,
  overflowed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;

/** Statements that lead from one version to the next; index 0 creates the first. */
export const AUDIT_MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4];
