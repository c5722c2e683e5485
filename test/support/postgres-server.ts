import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, chownSync, constants, readdirSync } from "node:fs";
import { appendFile, chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { type PostgresTarget, postgresTarget } from "../../src/federation/audit/postgres/postgres-target.ts";

/** Why there is no server here; undefined when there is one. */
export const NO_POSTGRES = "no PostgreSQL server here: apt-get install postgresql, or put postgres and initdb on PATH";

/** Folder of `postgres` and `initdb`: on PATH, or where Debian's packages put them; undefined when absent. */
export function postgresPrograms(): string | undefined {
  const packaged = versions().map((version) => `/usr/lib/postgresql/${version}/bin`);
  return [...packaged, ...(process.env["PATH"] ?? "").split(":")].find(
    (folder) => isExecutable(join(folder, "postgres")) && isExecutable(join(folder, "initdb")),
  );
}

function versions(): readonly string[] {
  try {
    return readdirSync("/usr/lib/postgresql").sort((a, b) => Number(b) - Number(a));
  } catch {
    return []; // no such package
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Options of {@link PostgresServer.start}. */
export interface PostgresServerOptions {
  /** Settings of the server. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Lines of `pg_hba.conf`; without them the owner of the socket's folder is trusted. */
  readonly access?: readonly string[];
  /** Files that the server must own, by name in its data folder. */
  readonly files?: Readonly<Record<string, string>>;
}

/** The name of the superuser. */
const OWNER = "seam";
/** `postgres` refuses to run as root: then it runs as nobody. */
const NOBODY = 65_534;

/** A throwaway server in a folder of its own: a Unix socket there and a free port of the loopback address. */
export class PostgresServer {
  readonly #programs: string;
  readonly #folder: string;
  readonly port: number;
  #process: ChildProcess | undefined;
  #log = "";

  private constructor(programs: string, folder: string, port: number) {
    this.#programs = programs;
    this.#folder = folder;
    this.port = port;
  }

  static async start(options: PostgresServerOptions = {}): Promise<PostgresServer> {
    const programs = postgresPrograms();
    if (programs === undefined) throw new Error(NO_POSTGRES);
    // A Unix socket's path has at most 107 bytes.
    const folder = await mkdtemp(join(tmpdir(), "seam-pg-"));
    if (isRoot()) chownSync(folder, NOBODY, NOBODY);
    const server = new PostgresServer(programs, folder, await freePort());
    await server.#initialise(options);
    await server.run();
    return server;
  }

  get #data(): string {
    return join(this.#folder, "data");
  }

  /** Folder of the Unix socket. */
  get socket(): string {
    return this.#folder;
  }

  /** The sink's target on the Unix socket. */
  target(database: string): PostgresTarget {
    return postgresTarget(`postgres://${OWNER}@/${database}?host=${this.#folder}&port=${this.port}`);
  }

  /** A new, empty database. */
  async database(name: string): Promise<PostgresTarget> {
    await this.sql("postgres", `CREATE DATABASE ${name}`);
    return this.target(name);
  }

  /** Runs one statement as the superuser and returns its rows; several, without rows. */
  async sql(database: string, text: string): Promise<readonly Record<string, unknown>[]> {
    const client = new Client({ host: this.#folder, port: this.port, user: OWNER, database, password: "" });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** Starts the server's process and waits until it answers. */
  async run(): Promise<void> {
    const child = this.#spawn("postgres", ["-D", this.#data]);
    this.#process = child;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`postgres ended: ${this.#log}`);
      try {
        await this.sql("postgres", "SELECT 1");
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20)); // it is starting
      }
    }
  }

  /** Ends the server's process. SIGQUIT is a crash; SIGKILL leaves children behind for a moment, so that is not offered. */
  async stop(signal: "SIGINT" | "SIGQUIT" = "SIGINT"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    await gone;
  }

  /** Stops the server and removes its folder. */
  async close(): Promise<void> {
    await this.stop("SIGQUIT");
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #initialise({ settings = {}, access, files = {} }: PostgresServerOptions): Promise<void> {
    const child = this.#spawn("initdb", [
      "-D",
      this.#data,
      "-U",
      OWNER,
      "-A",
      "trust",
      "-E",
      "UTF8",
      "--locale=C",
      "--no-sync",
      "--no-instructions",
    ]);
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    if (code !== 0) throw new Error(`initdb failed: ${this.#log}`);
    for (const [name, content] of Object.entries(files)) {
      const path = join(this.#data, name);
      await writeFile(path, content);
      await chmod(path, 0o600);
      if (isRoot()) chownSync(path, NOBODY, NOBODY);
    }
    const lines = Object.entries({
      listen_addresses: "'127.0.0.1'",
      port: String(this.port),
      unix_socket_directories: `'${this.#folder}'`,
      logging_collector: "off",
      shared_buffers: "64MB",
      max_connections: "40",
      ...settings,
    }).map(([name, value]) => `${name} = ${value}`);
    await appendFile(join(this.#data, "postgresql.conf"), `\n${lines.join("\n")}\n`);
    if (access !== undefined) await writeFile(join(this.#data, "pg_hba.conf"), `${access.join("\n")}\n`);
  }

  #spawn(program: string, flags: readonly string[]): ChildProcess {
    const child = spawn(join(this.#programs, program), flags, {
      cwd: this.#folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC" },
      ...(isRoot() && { uid: NOBODY, gid: NOBODY }),
    });
    const keep = (text: Buffer): void => {
      this.#log = (this.#log + text.toString()).slice(-4_000);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    return child;
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
