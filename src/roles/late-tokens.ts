import type { Clock } from "../base/clock.ts";
import type { Authentication } from "../trust/tls/tls-listener.ts";

type Reviewer = (token: string) => Promise<Authentication>;

/** How long a caller with a token waits for the process to reach its API server, milliseconds. */
const OPEN_WITHIN_MS = 5_000;

/** Bearer tokens before the tenant's cluster is open: callers with certificates are answered at once, those with tokens wait for it. */
export class LateTokens {
  readonly #reviewer = Promise.withResolvers<Reviewer>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  open(reviewer: Reviewer): void {
    this.#reviewer.resolve(reviewer);
  }

  readonly authenticate: Reviewer = async (token) => {
    const open = new AbortController();
    const late = this.#clock.sleep(OPEN_WITHIN_MS, open.signal).then(
      () => undefined,
      () => undefined,
    );
    const reviewer = await Promise.race([this.#reviewer.promise, late]);
    open.abort();
    if (reviewer !== undefined) return reviewer(token);
    return { ok: false, reason: "TokenReviewUnavailable", detail: "the API server was not reached yet" };
  };
}
