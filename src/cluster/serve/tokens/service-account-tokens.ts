import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ServiceAccount } from "../../../api/builtin.ts";
import type { Clock } from "../../../base/clock.ts";
import { uuidV4 } from "../../../base/ids.ts";
import { isJsonObject, type JsonObject } from "../../../base/json.ts";
import type { Random } from "../../../base/random.ts";
import { isStatus } from "../../api-status-error.ts";
import type { Cluster } from "../../cluster.ts";
import type { User } from "../user.ts";

/** Issuer of every token, and the audience of those that name none. */
export const ISSUER = "https://kubernetes.default.svc";
/** Longest token that is looked at. */
const MAX_TOKEN_CHARACTERS = 16 * 1024;
const ALGORITHM = "ES256";

/** Whom a token stands for. */
export interface TokenSubject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** What {@link ServiceAccountTokens} works with. */
export interface ServiceAccountTokensOptions {
  /** PEM file of the signing key; made with mode 0600 when there is none. */
  readonly keyPath: string;
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
}

/** Signs tokens of ServiceAccounts (JWT, ES256) and finds out whose they are. A token ends with its time or with its ServiceAccount. */
export class ServiceAccountTokens {
  readonly #options: ServiceAccountTokensOptions;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #header: string;

  private constructor(options: ServiceAccountTokensOptions, pem: string) {
    this.#options = options;
    this.#privateKey = createPrivateKey(pem);
    this.#publicKey = createPublicKey(this.#privateKey);
    const spki = this.#publicKey.export({ type: "spki", format: "der" });
    const kid = createHash("sha256").update(spki).digest("base64url");
    this.#header = encoded({ alg: ALGORITHM, kid });
  }

  /** Reads the key, or makes one. */
  static async open(options: ServiceAccountTokensOptions): Promise<ServiceAccountTokens> {
    return new ServiceAccountTokens(options, await signingKey(options.keyPath));
  }

  /** A token that is valid from now for `lifetimeSeconds`. */
  issue({ namespace, name, uid }: TokenSubject, audiences: readonly string[], lifetimeSeconds: number): string {
    const now = Math.floor(this.#options.clock.now() / 1000);
    const claims: JsonObject = {
      aud: [...audiences],
      exp: now + lifetimeSeconds,
      iat: now,
      iss: ISSUER,
      jti: uuidV4(this.#options.random),
      "kubernetes.io": { namespace, serviceaccount: { name, uid } },
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${name}`,
    };
    const signed = `${this.#header}.${encoded(claims)}`;
    const signature = sign("sha256", Buffer.from(signed), { key: this.#privateKey, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  }

  /**
   * The user of a token that this key signed, that is valid now and meant for one of `audiences`, and whose ServiceAccount is still the
   * same object; undefined for every other one.
   */
  async user(
    token: string,
    audiences: readonly string[],
  ): Promise<{ readonly user: User; readonly audiences: readonly string[] } | undefined> {
    const claims = this.#verified(token);
    if (claims === undefined) return undefined;
    const nowSeconds = this.#options.clock.now() / 1000;
    const { exp, nbf, iss, aud, jti } = claims;
    if (typeof exp !== "number" || typeof nbf !== "number" || exp <= nowSeconds || nbf > nowSeconds) return undefined;
    const shared = Array.isArray(aud) ? audiences.filter((audience) => aud.includes(audience)) : [];
    if (iss !== ISSUER || shared.length === 0) return undefined;
    const subject = subjectOf(claims);
    if (subject === undefined || !(await this.#exists(subject))) return undefined;
    const extra = typeof jti === "string" ? { "authentication.kubernetes.io/credential-id": [`JTI=${jti}`] } : {};
    return { user: { ...serviceAccountUser(subject), extra }, audiences: shared };
  }

  #verified(token: string): JsonObject | undefined {
    if (token.length > MAX_TOKEN_CHARACTERS) return undefined;
    const [header = "", claims = "", signature = "", ...more] = token.split(".");
    if (more.length > 0 || !sameText(header, this.#header)) return undefined;
    const key = { key: this.#publicKey, dsaEncoding: "ieee-p1363" } as const;
    if (!verify("sha256", Buffer.from(`${header}.${claims}`), key, Buffer.from(signature, "base64url")))
      return undefined;
    // Our own signature stands over it, so it is JSON.
    const parsed: unknown = JSON.parse(Buffer.from(claims, "base64url").toString("utf8"));
    return isJsonObject(parsed) ? parsed : undefined;
  }

  async #exists({ namespace, name, uid }: TokenSubject): Promise<boolean> {
    try {
      const { metadata } = await this.#options.cluster.get(ServiceAccount, { namespace, name });
      return metadata.uid === uid;
    } catch (error) {
      if (isStatus(error, "NotFound")) return false;
      throw error;
    }
  }
}

function subjectOf(claims: JsonObject): TokenSubject | undefined {
  const kubernetes = claims["kubernetes.io"];
  const account = isJsonObject(kubernetes) ? kubernetes["serviceaccount"] : undefined;
  if (!isJsonObject(kubernetes) || !isJsonObject(account)) return undefined;
  const [{ namespace }, { name, uid }] = [kubernetes, account];
  const complete = typeof namespace === "string" && typeof name === "string" && typeof uid === "string";
  return complete ? { namespace, name, uid } : undefined;
}

function serviceAccountUser({ namespace, name, uid }: TokenSubject): User {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    uid,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
  };
}

function encoded(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

async function signingKey(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Whole or not at all: a crash must not leave half a key.
  const draft = `${path}.new`;
  await rm(draft, { force: true });
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(pem);
    await file.sync();
  } finally {
    await file.close();
  }
  await link(draft, path);
  await rm(draft);
  return pem;
}
