import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import type { Clock } from "../../base/clock.ts";
import { sha256Hex } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { Authentication } from "../../trust/tls/tls-listener.ts";

/** Time a verdict is kept, milliseconds. */
export const TOKEN_CACHE_MS = 60_000;
/** Time a refusal is kept, milliseconds: short, because a token may become valid. */
const REFUSAL_CACHE_MS = 5_000;
/** Time the API server has for an answer, milliseconds. */
const REVIEW_DEADLINE_MS = 5_000;
/** Verdicts kept at once. */
const MAX_CACHED = 2_048;
/** Reviews under way at once. */
const MAX_PENDING = 64;

interface TokenReviewObject extends KubeObject {
  readonly spec: { readonly token: string; readonly audiences?: readonly string[] };
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: { readonly username?: string; readonly groups?: readonly string[] };
    readonly error?: string;
  };
}

/** Never stored: the answer to a create. */
const TokenReview: ResourceType<TokenReviewObject> = {
  group: "authentication.k8s.io",
  version: "v1",
  resource: "tokenreviews",
  kind: "TokenReview",
  namespaced: false,
};

/** Options of {@link tokenReviews}. */
export interface TokenReviewOptions {
  /** The tenant's cluster, whose API server knows the tokens. */
  readonly cluster: Pick<Cluster, "create">;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Authenticates bearer tokens by TokenReview, keeping verdicts for a minute under the token's digest. When the API server does not
 * answer, the token is refused.
 */
export function tokenReviews(options: TokenReviewOptions): (token: string) => Promise<Authentication> {
  const { cluster, clock, log } = options;
  const cached = new Map<string, { readonly verdict: Authentication; readonly until: number }>();
  const pending = new Map<string, Promise<Authentication>>();

  const review = async (token: string): Promise<Authentication> => {
    const done = new AbortController();
    const late = clock.sleep(REVIEW_DEADLINE_MS, done.signal).then(() => {
      throw new Error(`no answer within ${REVIEW_DEADLINE_MS} ms`);
    });
    try {
      const asked = cluster.create(TokenReview, {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        metadata: {},
        spec: { token },
      });
      return verdictOf(await Promise.race([asked, late]));
    } catch (error) {
      log.warn({ error: errorMessage(error) }, "a bearer token could not be reviewed");
      return refused("TokenReviewUnavailable", "the API server could not review it");
    } finally {
      late.catch(() => {
        // the answer came first
      });
      done.abort();
    }
  };

  return async (token) => {
    const key = sha256Hex(token);
    const held = cached.get(key);
    const now = clock.monotonic();
    if (held !== undefined && held.until > now) return held.verdict;
    cached.delete(key);
    const running = pending.get(key);
    if (running !== undefined) return running;
    if (pending.size >= MAX_PENDING) return refused("TokenReviewBusy", "too many tokens are being reviewed");
    const started = review(token);
    pending.set(key, started);
    const verdict = await started.finally(() => pending.delete(key));
    if (!verdict.ok && verdict.reason === "TokenReviewUnavailable") return verdict;
    // The oldest goes first: a Map keeps the order of insertion.
    if (cached.size >= MAX_CACHED) for (const oldest of cached.keys()) if (cached.delete(oldest)) break;
    cached.set(key, { verdict, until: clock.monotonic() + (verdict.ok ? TOKEN_CACHE_MS : REFUSAL_CACHE_MS) });
    return verdict;
  };
}

function verdictOf({ status }: TokenReviewObject): Authentication {
  const name = status?.user?.username ?? "";
  if (status?.authenticated !== true || name === "")
    return refused("TokenRefused", status?.error ?? "the API server does not know it");
  const groups = status.user?.groups ?? [];
  return {
    ok: true,
    principal: { kind: "token", name, groups, certificateSerial: "", notAfterMs: Number.POSITIVE_INFINITY },
  };
}

function refused(reason: string, detail: string): Authentication {
  return { ok: false, reason, detail };
}
