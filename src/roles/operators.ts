import type { Clock } from "../base/clock.ts";
import { SeamError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { startDispatcher } from "../dispatcher/start-dispatcher.ts";
import type { KeyLookup } from "../trust/dsse.ts";

/** What operators share. */
export interface OperatorParts {
  readonly cluster: Cluster;
  /** Public keys: operators verify signatures themselves. */
  readonly keys: KeyLookup;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** Something that runs until its signal aborts. */
export interface RunningOperators {
  readonly closed: Promise<void>;
}

const OPERATORS: Readonly<Record<string, (parts: OperatorParts) => Promise<RunningOperators>>> = {
  dispatcher: (parts) => startDispatcher(parts),
};

/** Starts the named operators. @throws SeamError `OperatorUnknown` before any is started */
export async function startOperators(names: readonly string[], parts: OperatorParts): Promise<RunningOperators> {
  const starts = names.map((name) => {
    const start = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
    if (start !== undefined) return start;
    throw new SeamError({
      reason: "OperatorUnknown",
      object: "OPERATORS_CONTROLLERS",
      expected: `must name operators out of ${Object.keys(OPERATORS).join(", ")}, found ${JSON.stringify(name)}`,
    });
  });
  const running: RunningOperators[] = [];
  for (const start of starts) running.push(await start(parts));
  return { closed: Promise.all(running.map((each) => each.closed)).then(() => undefined) };
}
