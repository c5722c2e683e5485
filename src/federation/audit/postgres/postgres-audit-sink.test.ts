import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EventChain, batchOf } from "../../../../test/support/audit-events.ts";
import { NO_POSTGRES, PostgresServer, postgresPrograms } from "../../../../test/support/postgres-server.ts";
import { ManualClock, systemClock } from "../../../base/clock.ts";
import { CertificateAuthority } from "../../../trust/ca/certificate-authority.ts";
import type { HubAuditSink } from "../hub-audit-sink.ts";
import type { SinkEvent } from "../sink-batch.ts";
import { openPostgresAuditSink } from "./postgres-audit-sink.ts";
import { type PostgresTarget, postgresTarget } from "./postgres-target.ts";

const EPOCH = 7n;
const never = new AbortController().signal;
const here = postgresPrograms() !== undefined;

describe.skipIf(!here)(`audit sink on PostgreSQL${here ? "" : `: ${NO_POSTGRES}`}`, () => {
  let server: PostgresServer;
  let databases = 0;

  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server.close());

  const database = () => server.database(`d${++databases}`);
  const open = (target: PostgresTarget) => openPostgresAuditSink({ target, clock: systemClock });
  const append = (sink: HubAuditSink, events: readonly SinkEvent[], cluster = "t1") =>
    sink.append(cluster, batchOf(EPOCH, events));
  const slices = (events: readonly SinkEvent[], size: number) =>
    Array.from({ length: Math.ceil(events.length / size) }, (_, i) => events.slice(i * size, (i + 1) * size));

  /** What a follower of the log sees, from its beginning. */
  async function everything(sink: HubAuditSink): Promise<readonly string[]> {
    const seen: string[] = [];
    for (let position: bigint | undefined = 0n; position !== undefined;) {
      const page: Awaited<ReturnType<HubAuditSink["scan"]>> = await sink.scan({
        filter: {},
        order: "oldest",
        position,
        limit: 500,
      });
      seen.push(...page.events.map(({ cluster, sequence }) => `${cluster}/${sequence}`));
      position = page.next;
    }
    return seen;
  }

  it("stores each number once when a superseded owner and the new one send the same log at once", async () => {
    const target = await database();
    // Both find an empty database: they also race for its tables.
    const replicas = await Promise.all([open(target), open(target), open(target)]);
    expect(new Set(replicas.map(({ shared }) => shared)).size).toBe(1);
    const clusters = ["t1", "t2", "t3"];
    const { events } = new EventChain().addMany(600);
    await Promise.all(
      replicas.flatMap((sink, at) =>
        clusters.map(async (cluster) => {
          // Each owner begins elsewhere, as if it had other positions.
          for (const slice of slices(events.slice(at * 50), 40)) await append(sink, slice, cluster);
        }),
      ),
    );
    const [first] = replicas;
    if (first === undefined) throw new Error("no replica");
    for (const cluster of clusters) {
      expect(await first.position(cluster, EPOCH)).toMatchObject({ contiguousThrough: 600n, highest: 600n });
      const [chain] = await first.chains(cluster);
      if (chain === undefined) throw new Error("no chain");
      expect((await first.verify(chain, never)).state).toMatchObject({ breaks: 0, verified: 600n });
      expect(chain.quarantined).toBe(0n);
    }
    const seen = await everything(first);
    expect(seen).toHaveLength(1_800);
    expect(new Set(seen).size).toBe(1_800);
    await Promise.all(replicas.map((sink) => sink.close()));
  });

  it("shows a follower on one replica everything that others store, in one order, without passing what is under way", async () => {
    const target = await database();
    const [writer, other, reader] = await Promise.all([open(target), open(target), open(target)]);
    const seen: string[] = [];
    let position = await reader.newest();
    const following = (async () => {
      while (seen.length < 800) {
        const page = await reader.scan({ filter: {}, order: "oldest", position, limit: 500 });
        for (const { arrival, cluster, sequence } of page.events) {
          seen.push(`${cluster}/${sequence}`);
          position = arrival;
        }
      }
    })();
    const { events } = new EventChain().addMany(400);
    await Promise.all(
      [writer, other].map(async (sink, at) => {
        for (const slice of slices(events, 7)) await append(sink, slice, `t${at}`);
      }),
    );
    await following;
    expect(seen).toHaveLength(800);
    expect(new Set(seen).size).toBe(800);
    await Promise.all([writer.close(), other.close(), reader.close()]);
  });

  it("says what is wrong when the server goes, and stores what is sent again after it crashed", async () => {
    const target = await database();
    const sink = await open(target);
    const { events } = new EventChain().addMany(300);
    await append(sink, events.slice(0, 100));
    await server.stop("SIGQUIT");
    await expect(append(sink, events.slice(100, 200))).rejects.toMatchObject({
      parts: { reason: "AuditSinkUnreachable" },
    });
    expect(sink.state()).toMatchObject({
      ok: false,
      detail: expect.stringContaining("a server that answers") as string,
    });
    await server.run();
    // The session sends the batch again, and by itself the sink finds out that the server is back.
    expect(await append(sink, events.slice(50, 300))).toEqual({
      contiguousThrough: 300n,
      highest: 300n,
      rejected: [],
    });
    expect(sink.state()).toEqual({ ok: true });
    await sink.close();
  });

  it("keeps nothing of a batch that the server's disk has no room for, and takes it when there is room", async () => {
    const target = await database();
    const sink = await open(target);
    const { events } = new EventChain().addMany(20);
    await append(sink, events.slice(0, 10));
    await server.sql(
      target.database,
      `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN RAISE EXCEPTION USING ERRCODE = ''53100'', MESSAGE = ''could not extend file: No space left on device''; END';
       CREATE TRIGGER full_disk BEFORE UPDATE ON seam_audit.positions EXECUTE FUNCTION full_disk()`,
    );
    await expect(append(sink, events)).rejects.toThrow(
      /audit sink postgres:.*: free space on the server's disk: could not extend file: No space left on device; free space/,
    );
    expect(await everything(sink)).toHaveLength(10);
    await server.sql(target.database, "DROP TRIGGER full_disk ON seam_audit.positions");
    expect(await append(sink, events)).toMatchObject({ contiguousThrough: 20n });
    await sink.close();
  });

  it("looks every number up when positions and events were restored apart", async () => {
    const target = await database();
    const sink = await open(target);
    const { events } = new EventChain().addMany(20);
    await append(sink, events.slice(0, 10));
    await server.sql(target.database, "TRUNCATE seam_audit.positions");
    expect(await append(sink, events)).toEqual({ contiguousThrough: 20n, highest: 20n, rejected: [] });
    expect(await everything(sink)).toHaveLength(20);
    await sink.close();
  });

  it("finds events that somebody changed in the database, and names the first", async () => {
    const target = await database();
    const sink = await open(target);
    await append(sink, new EventChain().addMany(50).events);
    await server.sql(
      target.database,
      `UPDATE seam_audit.events SET event = convert_to('{"action":"b"}', 'UTF8') WHERE sequence IN (31, 40)`,
    );
    const [chain] = await sink.chains("t1");
    if (chain === undefined) throw new Error("no chain");
    expect((await sink.verify(chain, never)).state).toMatchObject({
      breaks: 2,
      firstBreak: { kind: "altered", from: 31n, to: 31n },
    });
    await sink.close();
  });

  it("puts events into months and drops a month once every event of it is too old", async () => {
    const target = await database();
    const clock = new ManualClock(Date.UTC(2026, 0, 31, 23));
    const sink = await openPostgresAuditSink({ target, clock });
    const months = async () =>
      (
        await server.sql(
          target.database,
          "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'seam_audit.events'::regclass ORDER BY 1",
        )
      ).map(({ name }) => name);
    const { events } = new EventChain().addMany(40);
    await append(sink, events.slice(0, 10));
    await clock.advance(2 * 3_600_000);
    await append(sink, events.slice(10, 20));
    await clock.advance(62 * 86_400_000);
    await append(sink, events.slice(5, 40));
    expect(await months()).toEqual(
      ["2026_01", "2026_02", "2026_03", "2026_04", "2026_05"].map((month) => `seam_audit.events_${month}`),
    );
    // Half of February is too old: only January may go.
    expect(await sink.retain(Date.UTC(2026, 1, 15), never)).toBe(10);
    expect(await months()).not.toContain("seam_audit.events_2026_01");
    expect(await everything(sink)).toHaveLength(30);
    expect(await sink.retain(Date.UTC(2026, 3, 1), never)).toBe(10);
    expect(await months()).toEqual(["seam_audit.events_2026_04", "seam_audit.events_2026_05"]);
    expect(await append(sink, events)).toEqual({ contiguousThrough: 40n, highest: 40n, rejected: [] });
    expect(await everything(sink)).toHaveLength(20);
    await sink.close();
  });

  it("ends a statement that takes too long, and says so", async () => {
    const target = await database();
    const sink = await open(target);
    const { events } = new EventChain().addMany(10);
    await append(sink, events.slice(0, 5));
    await server.sql(
      target.database,
      `ALTER DATABASE ${target.database} SET log_min_messages = 'fatal';
       CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN SET LOCAL statement_timeout = ''50ms''; RAISE EXCEPTION USING ERRCODE = ''57014'', MESSAGE = ''canceling statement due to statement timeout''; END';
       CREATE TRIGGER slow BEFORE UPDATE ON seam_audit.positions EXECUTE FUNCTION slow()`,
    );
    await expect(append(sink, events)).rejects.toThrow(
      /an answer within the statement timeout: canceling statement due to statement timeout; look for locks/,
    );
    await server.sql(target.database, "DROP TRIGGER slow ON seam_audit.positions");
    expect(await append(sink, events)).toMatchObject({ contiguousThrough: 10n });
    await sink.close();
  });

  it("refuses a schema of a newer version and leaves it as it is", async () => {
    const target = await database();
    await (await open(target)).close();
    await server.sql(target.database, "INSERT INTO seam_audit.migrations (version) VALUES (99)");
    await expect(open(target)).rejects.toThrow(
      /schema version: at most \d+, found 99: a newer version of this program wrote it/,
    );
    expect(await server.sql(target.database, "SELECT count(*)::int AS n FROM seam_audit.positions")).toEqual([
      { n: 0 },
    ]);
  });

  it("names a missing database and a server that is not there", async () => {
    await expect(open(server.target("nowhere"))).rejects.toThrow(
      /database "nowhere" does not exist; create the database/,
    );
    await expect(open(postgresTarget("postgres://seam@127.0.0.1:1/audit?sslmode=disable"))).rejects.toThrow(
      /audit sink postgres:\/\/127\.0\.0\.1:1\/audit: a server that answers: .*ECONNREFUSED.*; check host and port/,
    );
  });

  it("warns of a server that loses what it acknowledged, and sets its own transactions right", async () => {
    const target = await database();
    await server.sql("postgres", `ALTER DATABASE ${target.database} SET synchronous_commit = off`);
    const sink = await open(target);
    await append(sink, new EventChain().add().events);
    expect(sink.warnings).toEqual([]);
    await sink.close();
  });
});

describe.skipIf(!here)(`audit sink on PostgreSQL over TLS with a password${here ? "" : `: ${NO_POSTGRES}`}`, () => {
  let server: PostgresServer;
  let directory: string;
  let files: { readonly password: string; readonly ca: string; readonly otherCa: string };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "audit-tls-"));
    const [ca, other] = await Promise.all([
      CertificateAuthority.create("database", { clock: systemClock }),
      CertificateAuthority.create("other", { clock: systemClock }),
    ]);
    const issued = await ca.issue({ kind: "server", commonName: "db", dnsNames: ["localhost"], ipAddresses: [] });
    server = await PostgresServer.start({
      settings: { ssl: "on", password_encryption: "scram-sha-256" },
      files: { "server.crt": issued.certificatePem, "server.key": issued.privateKeyPem },
      access: ["local all seam trust", "hostssl all auditor 127.0.0.1/32 scram-sha-256"],
    });
    await server.sql("postgres", "CREATE USER auditor PASSWORD 'hunter2'");
    await server.sql("postgres", "CREATE DATABASE audit OWNER auditor");
    const file = async (name: string, text: string) => {
      await writeFile(join(directory, name), text);
      return join(directory, name);
    };
    files = {
      password: await file("password", "hunter2\n"),
      ca: await file("ca.crt", ca.certificatePem),
      otherCa: await file("other.crt", other.certificatePem),
    };
  });
  afterAll(async () => {
    await server.close();
    await rm(directory, { recursive: true });
  });

  const open = (url: string, caFile: string | undefined, passwordFile = files.password) =>
    openPostgresAuditSink({
      target: postgresTarget(url, { passwordFile, ...(caFile !== undefined && { caFile }) }),
      clock: systemClock,
    });
  const refusal = async (opening: Promise<HubAuditSink>): Promise<string> => {
    try {
      await (await opening).close();
    } catch (error) {
      if (error instanceof Error) return error.message;
    }
    throw new Error("nothing was refused");
  };

  it("verifies the server by name, and reads a new password without a restart", async () => {
    const sink = await open(`postgres://auditor@localhost:${server.port}/audit`, files.ca);
    expect(await sink.append("t1", batchOf(EPOCH, new EventChain().add().events))).toMatchObject({
      contiguousThrough: 1n,
    });
    await server.sql("postgres", "ALTER USER auditor PASSWORD 'hunter3'");
    await writeFile(files.password, "hunter3");
    await server.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'auditor'");
    await sink.position("t1", EPOCH).catch(() => {
      // the connection that was ended
    });
    expect(await sink.position("t1", EPOCH)).toMatchObject({ contiguousThrough: 1n });
    await sink.close();
  });

  it("refuses a server that is not trusted, or has another name, and a wrong password, without saying it", async () => {
    const url = (host: string, more = "") => `postgres://auditor@${host}:${server.port}/audit${more}`;
    expect(await refusal(open(url("localhost"), files.otherCa))).toMatch(
      /a server whose certificate is trusted: .*; check AUDIT_SINK_CA_CERT_PATH and the name in AUDIT_SINK_URL/,
    );
    expect(await refusal(open(url("127.0.0.1"), files.ca))).toMatch(
      /a server whose certificate is trusted: .*127\.0\.0\.1/,
    );
    const wrong = join(directory, "wrong");
    await writeFile(wrong, "opensesame");
    const denied = await refusal(open(url("localhost"), files.ca, wrong));
    expect(denied).toMatch(
      /a user and password that the server accepts: .*; check AUDIT_SINK_URL and AUDIT_SINK_PASSWORD_PATH/,
    );
    expect(denied).not.toContain("opensesame");
    await (await open(url("127.0.0.1", "?sslmode=verify-ca"), files.ca)).close();
    expect(await refusal(open(url("localhost"), files.ca, join(directory, "absent")))).toMatch(
      /absent: a file this process may read/,
    );
  });
});
