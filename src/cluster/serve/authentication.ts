import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { unauthorized } from "./api-errors.ts";
import { ISSUER, type ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
import type { User } from "./user.ts";

const ANONYMOUS: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };
const AUTHENTICATED_GROUP = "system:authenticated";

/** Name and groups of whoever holds the static token. */
const TOKEN_USER: User = { name: "admin", groups: ["system:masters", AUTHENTICATED_GROUP] };

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
  readonly #certified = new WeakMap<TLSSocket, Certified>();

  constructor(clock: Clock, adminToken: string | undefined, tokens: ServiceAccountTokens) {
    this.#clock = clock;
    this.#tokens = tokens;
    this.#tokenDigest = adminToken === undefined ? undefined : sha256(adminToken);
  }

  /** @throws ApiStatusError 401 */
  async authenticate(request: IncomingMessage): Promise<User> {
    const { socket } = request;
    const certified = socket instanceof TLSSocket ? this.#certificate(socket) : undefined;
    if (certified !== undefined) {
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

  #certificate(socket: TLSSocket): Certified | undefined {
    const known = this.#certified.get(socket);
    if (known !== undefined) return known;
    const certificate = socket.getPeerCertificate();
    const subject: unknown = certificate.subject;
    if (typeof subject !== "object" || subject === null) return undefined;
    // `authorized` is the result of the handshake: the chain ends in the CA that clients are checked against.
    if (!socket.authorized) throw unauthorized();
    const parts = new Map<string, unknown>(Object.entries(subject));
    const [name] = texts(parts.get("CN"));
    if (name === undefined || name === "") throw unauthorized();
    const certified: Certified = {
      user: { name, groups: [...texts(parts.get("O")), AUTHENTICATED_GROUP] },
      expiresAt: Date.parse(certificate.valid_to),
    };
    this.#certified.set(socket, certified);
    return certified;
  }
}

function texts(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
