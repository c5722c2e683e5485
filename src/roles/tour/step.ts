import type { Clock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";

/** One stop of the tour. */
export interface TourStep {
  readonly title: string;
  /** What a person would type, one command a line. */
  readonly commands: readonly string[];
  /** Does it and says what was seen, one line each. Throws when it was not seen in time. */
  run(): Promise<readonly string[]>;
}

/** What a look saw instead of what it looked for. */
export class NotYet {
  readonly seen: string;

  constructor(seen: string) {
    this.seen = seen;
  }
}

/** How often a condition is looked at, milliseconds. */
const LOOK_EVERY_MS = 100;

/**
 * Waits until `look` answers with something, and resolves with it.
 *
 * @throws SeamError `TourTimeout` with what was last seen
 */
export async function waitFor<R>(
  what: string,
  look: () => Promise<R | NotYet>,
  parts: { readonly clock: Clock; readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<R> {
  const started = parts.clock.monotonic();
  for (;;) {
    const seen = await look();
    if (!(seen instanceof NotYet)) return seen;
    if (parts.clock.monotonic() - started > parts.timeoutMs) {
      throw new SeamError({
        reason: "TourTimeout",
        object: what,
        expected: `was not seen within ${parts.timeoutMs / 1000} s; last seen: ${seen.seen}`,
      });
    }
    await parts.clock.sleep(LOOK_EVERY_MS, parts.signal);
  }
}
