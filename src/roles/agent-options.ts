import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Environment } from "./environment.ts";

/** What every role gets from its program. */
export interface AgentOptions {
  readonly env: Environment;
  /** Version of this build. */
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborts to stop everything in order. */
  readonly signal: AbortSignal;
}

/** A running agent. */
export interface RunningAgent {
  /** Resolves when everything was stopped and released after the signal aborted; rejects when a mandatory part failed for good. */
  readonly closed: Promise<void>;
}
