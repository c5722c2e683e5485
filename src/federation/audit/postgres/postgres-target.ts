import { SeamError } from "../../../base/errors.ts";

/** Where the audit sink's database is and how it is reached; plain data, so that it can cross to a worker. */
export interface PostgresTarget {
  /** Host name, address, or folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: PostgresPassword;
  readonly tls: PostgresTls;
}

/** `file` is read at every new connection, so that a rotated password needs no restart. */
export type PostgresPassword =
  | { readonly from: "none" }
  | { readonly from: "url"; readonly value: string }
  | { readonly from: "file"; readonly path: string };

/** `verify-ca` checks the certificate's issuer, `verify-full` its name too. Files are read at every new connection. */
export type PostgresTls =
  | { readonly mode: "disable" }
  | {
      readonly mode: "verify-ca" | "verify-full";
      /** Absent: the system's roots. */
      readonly caFile?: string;
      readonly certificateFile?: string;
      readonly keyFile?: string;
    };

/** Files beside the URL. */
export interface PostgresFiles {
  readonly passwordFile?: string;
  readonly caFile?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
}

const PARAMETERS = ["sslmode", "host", "port"];

/**
 * Reads `postgres://user[:password]@host[:port]/database[?sslmode=…]`; a Unix socket is
 * `postgres://user@/database?host=/folder[&port=…]`.
 * Without `sslmode` a network host is `verify-full`, a Unix socket `disable`. The URL never appears in an error: it may hold a password.
 *
 * @throws SeamError `AuditSinkUrlInvalid`
 */
export function postgresTarget(text: string, files: PostgresFiles = {}): PostgresTarget {
  let url: URL;
  try {
    // A URL without a host cannot have a user: a placeholder stands in for the folder of the socket.
    url = new URL(text.replace(/^postgres(ql)?:\/\/([^/@]*@)?\//, "postgres://$2socket/"));
  } catch {
    throw invalid("a URL such as postgres://seam@db.example.com/audit");
  }
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:")
    throw invalid("a URL that begins with postgres://");
  for (const name of url.searchParams.keys())
    if (!PARAMETERS.includes(name)) throw invalid(`no parameters but ${PARAMETERS.join(", ")}, found ${name}`);
  const folder = url.searchParams.get("host");
  const host = folder ?? url.hostname.replace(/^\[|\]$/g, "");
  const local = host.startsWith("/");
  if (host === "" || (folder !== null && !local)) throw invalid("a host, or host=/folder of a Unix socket");
  const user = decoded(url.username, "user");
  if (user === "") throw invalid("a user: postgres://USER@…");
  const database = decoded(url.pathname.slice(1), "database");
  if (database === "" || database.includes("/")) throw invalid("the name of a database after the host");
  const port = Number(url.port || (url.searchParams.get("port") ?? 5432));
  if (!Number.isSafeInteger(port) || port < 1 || port > 65_535) throw invalid("a port between 1 and 65535");
  return {
    host,
    port,
    database,
    user,
    password: passwordOf(decoded(url.password, "password"), files.passwordFile),
    tls: tlsOf(url.searchParams.get("sslmode") ?? (local ? "disable" : "verify-full"), files),
  };
}

/** How errors and logs name the sink: without credentials. */
export function targetName({ host, port, database }: PostgresTarget): string {
  return `audit sink postgres://${host.startsWith("/") ? "" : `${host}:${port}`}/${database}`;
}

function passwordOf(value: string, path: string | undefined): PostgresPassword {
  if (path !== undefined && value !== "") throw invalid("a password in the URL or in a file, not both");
  if (path !== undefined) return { from: "file", path };
  return value === "" ? { from: "none" } : { from: "url", value };
}

function tlsOf(mode: string, { caFile, certificateFile, keyFile }: PostgresFiles): PostgresTls {
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw invalid("a client certificate and its key, or neither");
  switch (mode) {
    case "disable":
      if (caFile !== undefined || certificateFile !== undefined)
        throw invalid("sslmode=verify-full or verify-ca when certificates are given");
      return { mode };
    case "verify-ca":
    case "verify-full":
      return {
        mode,
        ...(caFile !== undefined && { caFile }),
        ...(certificateFile !== undefined && { certificateFile }),
        ...(keyFile !== undefined && { keyFile }),
      };
    default:
      throw invalid(`sslmode verify-full, verify-ca or disable, found ${JSON.stringify(mode)}`);
  }
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`a ${what} whose % signs are escapes (%25 is a % sign)`);
  }
}

function invalid(expected: string): SeamError {
  return new SeamError({
    reason: "AuditSinkUrlInvalid",
    object: "audit sink URL",
    expected,
    remedy: "docs/audit.md shows the forms",
  });
}
