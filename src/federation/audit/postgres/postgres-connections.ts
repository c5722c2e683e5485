import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { ConnectionOptions } from "node:tls";
import { Client, Pool, type PoolClient, type PoolConfig } from "pg";
import { SeamError, errorMessage } from "../../../base/errors.ts";
import { endsConnection, postgresError } from "./postgres-error.ts";
import type { PostgresRow } from "./postgres-row.ts";
import { type PostgresPassword, type PostgresTarget, type PostgresTls, targetName } from "./postgres-target.ts";

/** Longest wait for a connection, milliseconds. */
const CONNECT_LIMIT_MS = 10_000;
/** Longest statement, enforced by the server, milliseconds. */
export const STATEMENT_LIMIT_MS = 30_000;
/** Longest wait for a lock, milliseconds. */
const LOCK_LIMIT_MS = 10_000;
/** How long an unused connection is kept, milliseconds. */
const IDLE_LIMIT_MS = 60_000;
/** Longest life of a connection, seconds: after a failover or a change of certificates nobody stays with the old. */
const LIFETIME_LIMIT_S = 1_800;
/** How long an answer may be late beyond the server's own limit before the connection counts as dead, milliseconds. */
const DEAD_AFTER_MS = STATEMENT_LIMIT_MS + 5_000;

/** A bounded set of connections to the sink's database. */
export class PostgresConnections {
  readonly name: string;
  readonly #pool: Pool;

  constructor(target: PostgresTarget, max: number) {
    this.name = targetName(target);
    this.#pool = new Pool(poolConfig(target, max));
    // An idle connection that breaks is replaced by the next use, which says what is wrong.
    this.#pool.on("error", () => {});
  }

  /** Runs one statement on any connection. @throws SeamError */
  async query(text: string, values: readonly unknown[] = []): Promise<readonly PostgresRow[]> {
    return this.use(async (client) => (await client.query<PostgresRow>(text, [...values])).rows);
  }

  /**
   * Runs `work` in a transaction that `begin` opens. Nothing of it is kept when it throws.
   *
   * @throws what `work` threw, as the driver said it
   */
  async transaction<T>(begin: string, work: (client: PoolClient) => Promise<T>): Promise<T> {
    return this.#with(async (client) => {
      await client.query(begin);
      try {
        const result = await work(client);
        await client.query("COMMIT");
        return result;
      } catch (error) {
        if (!endsConnection(error)) await client.query("ROLLBACK");
        throw error;
      }
    });
  }

  /** Runs `work` on one connection. @throws SeamError */
  async use<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    try {
      return await this.#with(work);
    } catch (error) {
      throw postgresError(error, this.name);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #with<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    // A server that neither answers nor closes would hold the caller for ever.
    const dead = Promise.withResolvers<never>();
    const timer = setTimeout(() => dead.reject(new Error(`no answer within ${DEAD_AFTER_MS} ms`)), DEAD_AFTER_MS);
    // The pool removes its own listener while a connection is out: an error in between must not end the process.
    const ignore = (): void => {};
    client.on("error", ignore);
    let broken = false;
    try {
      return await Promise.race([work(client), dead.promise]);
    } catch (error) {
      broken = endsConnection(error);
      throw error;
    } finally {
      clearTimeout(timer);
      client.off("error", ignore);
      client.release(broken);
    }
  }
}

function poolConfig(target: PostgresTarget, max: number): PoolConfig {
  return {
    Client: clientClass(target),
    max,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    idleTimeoutMillis: IDLE_LIMIT_MS,
    maxLifetimeSeconds: LIFETIME_LIMIT_S,
  };
}

/** A client that reads its files when it is made, so that a rotated password or certificate needs no restart. */
function clientClass({ host, port, database, user, password, tls }: PostgresTarget): new () => Client {
  return class extends Client {
    constructor() {
      super({
        host,
        port,
        database,
        user,
        password: () => passwordText(password),
        ssl: tls.mode === "disable" ? false : tlsOptions(tls),
        connectionTimeoutMillis: CONNECT_LIMIT_MS,
        statement_timeout: STATEMENT_LIMIT_MS,
        lock_timeout: LOCK_LIMIT_MS,
        idle_in_transaction_session_timeout: STATEMENT_LIMIT_MS,
        application_name: "seam-audit",
        keepAlive: true,
        client_encoding: "UTF8",
      });
    }
  };
}

async function passwordText(password: PostgresPassword): Promise<string> {
  switch (password.from) {
    case "none":
      return "";
    case "url":
      return password.value;
    case "file":
      try {
        return (await readFile(password.path, "utf8")).replace(/\r?\n$/, "");
      } catch (cause) {
        throw unreadable(password.path, cause);
      }
  }
}

function tlsOptions(tls: Exclude<PostgresTls, { readonly mode: "disable" }>): ConnectionOptions {
  const { mode, caFile, certificateFile, keyFile } = tls;
  return {
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ...(mode === "verify-ca" && { checkServerIdentity: () => undefined }),
    ...(caFile !== undefined && { ca: pem(caFile) }),
    ...(certificateFile !== undefined && { cert: pem(certificateFile) }),
    ...(keyFile !== undefined && { key: pem(keyFile) }),
  };
}

function pem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): SeamError {
  return new SeamError(
    { reason: "FileUnreadable", object: path, expected: `a file this process may read: ${errorMessage(cause)}` },
    { cause },
  );
}
