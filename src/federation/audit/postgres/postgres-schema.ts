/** Version of the tables below. */
export const POSTGRES_SCHEMA_VERSION = 2;

/**
 * permissions §12.3. Events are partitioned by the month in which they were received. A unique index over all partitions would have to
 * hold the month, so what makes a number unique is the chain's row in `positions`, locked by whoever appends; the unique index of
 * each partition stands behind it.
 */
const VERSION_1 = `
CREATE TABLE seam_audit.store (id uuid NOT NULL);
INSERT INTO seam_audit.store VALUES (gen_random_uuid());
CREATE TABLE seam_audit.events (
  arrival bigint NOT NULL,
  cluster text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  sequence bigint NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  event_time text COLLATE "C" NOT NULL,
  received_at timestamptz NOT NULL,
  subject text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  resource text COLLATE "C" NOT NULL,
  decision text COLLATE "C" NOT NULL,
  event bytea NOT NULL,
  prev_hash bytea NOT NULL,
  hash bytea NOT NULL
) PARTITION BY RANGE (received_at);
CREATE SEQUENCE seam_audit.arrivals AS bigint CACHE 1 OWNED BY seam_audit.events.arrival;
ALTER TABLE seam_audit.events ALTER COLUMN arrival SET DEFAULT nextval('seam_audit.arrivals');
CREATE INDEX events_by_arrival ON seam_audit.events (arrival);
CREATE INDEX events_by_cluster ON seam_audit.events (cluster, arrival);
CREATE INDEX events_by_subject ON seam_audit.events (subject, arrival);
CREATE INDEX events_by_action ON seam_audit.events (action, arrival);
CREATE TABLE seam_audit.positions (
  cluster text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  contiguous bigint NOT NULL DEFAULT 0,
  highest bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (cluster, epoch)
) WITH (fillfactor = 50);
CREATE TABLE seam_audit.ranges (
  cluster text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  first bigint NOT NULL,
  last bigint NOT NULL,
  PRIMARY KEY (cluster, epoch, first, last)
);
CREATE TABLE seam_audit.conflicts (
  cluster text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  sequence bigint NOT NULL,
  digest bytea NOT NULL,
  code text NOT NULL,
  received_at timestamptz NOT NULL,
  event bytea NOT NULL,
  prev_hash bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (cluster, epoch, sequence, digest)
);
CREATE TABLE seam_audit.floors (
  cluster text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  through bigint NOT NULL,
  hash bytea,
  removed bigint NOT NULL,
  breaks bigint NOT NULL,
  removed_at timestamptz NOT NULL,
  PRIMARY KEY (cluster, epoch)
);
`;

/** Refused events that found no place in `conflicts`; the row is what replicas take turns by. */
const VERSION_2 = `
CREATE TABLE seam_audit.quarantine_overflows (
  cluster text COLLATE "C" PRIMARY KEY,
  overflowed bigint NOT NULL DEFAULT 0
);
`;

/** Statements that lead from one version to the next; index 0 creates the first. */
export const POSTGRES_MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2];

/** Advisory locks of the sink, 64 bits: one for whoever changes tables, one for whoever removes partitions. */
export const LOCKS = { schema: "6818449835838930945", sweep: "6818449835838930946" } as const;
