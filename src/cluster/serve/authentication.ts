import { createHash, timingSafeEqual } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { unauthorized } from "./api-errors.ts";
import { type ApiRequest, connectionOf, tlsSocketOf } from "./api-request.ts";
import { ISSUER, type ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
import type { User } from "./user.ts";

const ANONYMOUS: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };
const AUTHENTICATED_GROUP = "system:authenticated";

/** Name and groups of whoever holds the static token. */
const TOKEN_USER: User = { name: "admin", groups: ["system:masters", AUTHENTICATED_GROUP] };

/** A connection whose client presented no certificate. */
const NO_CERTIFICATE = "no certificate";

interface Certified {
  readonly user: User;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/**
 * Finds out who sends a request: the client certificate (CN is the user, every O a group), else the bearer token, else the anonymous
 * user. A certificate of another CA, an expired one or an unknown token is refused, never taken for anonymous.
 */
export class Authenticator {
  readonly #clock: Clock;
  readonly #tokens: ServiceAccountTokens;
  readonly #tokenDigest: Buffer | undefined;
  /** Reading a certificate costs more than a request; a connection keeps its own. */
  readonly #known = new WeakMap<object, Certified | typeof NO_CERTIFICATE>();

  constructor(clock: Clock, adminToken: string | undefined, tokens: ServiceAccountTokens) {
    this.#clock = clock;
    this.#tokens = tokens;
    this.#tokenDigest = adminToken === undefined ? undefined : sha256(adminToken);
  }

  /** @throws ApiStatusError 401 */
  async authenticate(request: ApiRequest): Promise<User> {
    const certified = this.#certified(request);
    if (certified !== NO_CERTIFICATE) {
      // A connection may outlive its certificate, and a resumed session is not verified again.
      if (certified.expiresAt <= this.#clock.now()) throw unauthorized();
      return certified.user;
    }
    const { authorization } = request.headers;
    if (authorization === undefined) return ANONYMOUS;
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    const found = token === undefined ? undefined : await this.authenticateToken(token, [ISSUER]);
    if (found === undefined) throw unauthorized();
    return found.user;
  }

  /** Whose token it is, and for which of `audiences` it is meant; undefined for an unknown one. */
  async authenticateToken(
    token: string,
    audiences: readonly string[],
  ): Promise<{ readonly user: User; readonly audiences: readonly string[] } | undefined> {
    if (this.#tokenDigest !== undefined && timingSafeEqual(sha256(token), this.#tokenDigest))
      return { user: TOKEN_USER, audiences };
    return this.#tokens.user(token, audiences);
  }

  #certified(request: ApiRequest): Certified | typeof NO_CERTIFICATE {
    const connection = connectionOf(request);
    const known = connection && this.#known.get(connection);
    if (known !== undefined) return known;
    const socket = tlsSocketOf(request);
    const certified = socket === undefined ? NO_CERTIFICATE : certifiedBy(socket);
    if (connection !== undefined) this.#known.set(connection, certified);
    return certified;
  }
}

/** @throws ApiStatusError 401 for a certificate that does not hold */
function certifiedBy(socket: TLSSocket): Certified | typeof NO_CERTIFICATE {
  const certificate = socket.getPeerCertificate();
  const subject: unknown = certificate.subject;
  if (typeof subject !== "object" || subject === null) return NO_CERTIFICATE;
  // `authorized` is the result of the handshake: the chain ends in the CA that clients are checked against.
  if (!socket.authorized) throw unauthorized();
  const parts = new Map<string, unknown>(Object.entries(subject));
  const [name] = texts(parts.get("CN"));
  if (name === undefined || name === "") throw unauthorized();
  return {
    user: { name, groups: [...texts(parts.get("O")), AUTHENTICATED_GROUP] },
    expiresAt: Date.parse(certificate.valid_to),
  };
}

function texts(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
