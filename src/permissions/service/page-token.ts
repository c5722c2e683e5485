import { createHmac, timingSafeEqual } from "node:crypto";
import { sha256Hex } from "../../base/digest.ts";
import { isJsonObject } from "../../base/json.ts";
import type { Random } from "../../base/random.ts";

/** Where a page starts, and of which list. */
export interface PagePosition {
  /** Snapshot version of the list. */
  readonly version: string;
  readonly offset: number;
  /** When the first page was made, Unix milliseconds: every page is of the list of that moment, or entries would be skipped. */
  readonly atMs: number;
}

const KEY_BYTES = 32;
const MAC_BYTES = 16;
const MAX_TOKEN = 512;

/**
 * Page tokens: authenticated, bound to the snapshot version and to the question, so a cursor can be neither made up nor carried to
 * another list (permissions §19). The key lives as long as the process; a token of an earlier one is invalid and the list starts again.
 */
export class PageTokens {
  readonly #key: Uint8Array;

  constructor(random: Random) {
    this.#key = random.bytes(KEY_BYTES);
  }

  /** Token for the page of `question` that starts at `position`. */
  issue(question: string, position: PagePosition): string {
    const body = Buffer.from(
      JSON.stringify({
        v: position.version,
        o: position.offset,
        t: position.atMs,
        q: sha256Hex(question).slice(0, 16),
      }),
    ).toString("base64url");
    return `${body}.${this.#mac(body).toString("base64url")}`;
  }

  /** Position of a token; undefined when it is not ours or belongs to another question. */
  read(question: string, token: string): PagePosition | undefined {
    const [body, mac, ...rest] = token.split(".");
    if (token.length > MAX_TOKEN || body === undefined || mac === undefined || rest.length > 0) return undefined;
    const given = Buffer.from(mac, "base64url");
    const expected = this.#mac(body);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    const value: unknown = JSON.parse(Buffer.from(body, "base64url").toString());
    if (!isJsonObject(value) || value["q"] !== sha256Hex(question).slice(0, 16)) return undefined;
    const { v: version, o: offset, t: atMs } = value;
    return typeof version === "string" && typeof offset === "number" && typeof atMs === "number"
      ? { version, offset, atMs }
      : undefined;
  }

  #mac(body: string): Buffer {
    return createHmac("sha256", this.#key).update(body).digest().subarray(0, MAC_BYTES);
  }
}
