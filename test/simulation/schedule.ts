import { SeededRandom, integerBetween } from "../../src/base/random.ts";
import type { WrongIndex } from "./desired-state.ts";
import type { Mangling, Way } from "./link.ts";

/** One thing that is done to the world, at a time. `agent` counts from 0. */
export type Action =
  | {
      readonly atMs: number;
      readonly do: "change";
      readonly agent: number;
      readonly items: number;
      readonly poison: boolean;
      readonly big: boolean;
    }
  | { readonly atMs: number; readonly do: "tombstone"; readonly agent: number; readonly withBody: boolean }
  | { readonly atMs: number; readonly do: "corrupt"; readonly agent: number }
  | { readonly atMs: number; readonly do: "retry"; readonly agent: number }
  | { readonly atMs: number; readonly do: "fact"; readonly agent: number; readonly name: string }
  | { readonly atMs: number; readonly do: "audit"; readonly agent: number; readonly count: number }
  | { readonly atMs: number; readonly do: "revoke"; readonly agent: number }
  | { readonly atMs: number; readonly do: "ask"; readonly agent: number }
  | { readonly atMs: number; readonly do: "drift"; readonly agent: number; readonly name: string }
  | { readonly atMs: number; readonly do: "knock"; readonly agent: number }
  | { readonly atMs: number; readonly do: "stuck"; readonly agent: number; readonly forMs: number; readonly way: Way }
  | { readonly atMs: number; readonly do: "crash"; readonly agent: number; readonly boundaries: number }
  | { readonly atMs: number; readonly do: "upgrade"; readonly agent: number }
  | { readonly atMs: number; readonly do: "backup"; readonly agent: number }
  | { readonly atMs: number; readonly do: "restore"; readonly agent: number }
  | {
      readonly atMs: number;
      readonly do: "tear";
      readonly agent: number;
      readonly boundaries: number;
      readonly transactions: number;
    }
  | {
      readonly atMs: number;
      readonly do: "twin";
      readonly agent: number;
      readonly forMs: number;
      readonly copied: boolean;
    }
  | { readonly atMs: number; readonly do: "hubLoses"; readonly agent: number; readonly epoch: boolean }
  | {
      readonly atMs: number;
      readonly do: "mangle";
      readonly agent: number;
      readonly forMs: number;
      readonly how: Mangling;
    }
  | { readonly atMs: number; readonly do: "freeze"; readonly agent: number; readonly forMs: number }
  | { readonly atMs: number; readonly do: "partition"; readonly agent: number; readonly forMs: number }
  | {
      readonly atMs: number;
      readonly do: "slow";
      readonly agent: number;
      readonly forMs: number;
      readonly delayMs: number;
    }
  | { readonly atMs: number; readonly do: "reset"; readonly agent: number }
  | { readonly atMs: number; readonly do: "evict"; readonly agent: number }
  | { readonly atMs: number; readonly do: "replay"; readonly agent: number; readonly what: Replay }
  | { readonly atMs: number; readonly do: "flaky"; readonly agent: number; readonly forMs: number }
  | { readonly atMs: number; readonly do: "agentClock"; readonly agent: number; readonly byMs: number }
  | { readonly atMs: number; readonly do: "hubClock"; readonly byMs: number }
  | { readonly atMs: number; readonly do: "hubCrash"; readonly boundaries: number }
  | { readonly atMs: number; readonly do: "hubFreeze"; readonly forMs: number }
  | { readonly atMs: number; readonly do: "hubFails"; readonly forMs: number }
  | { readonly atMs: number; readonly do: "ownershipMoves"; readonly forMs: number };

/** What somebody feeds the hub instead of the desired index: one that is old now, the one of another tenant, or a wrong one. */
export type Replay = "old" | "crossed" | WrongIndex;
const REPLAYS: readonly Replay[] = ["old", "crossed", "stranger", "dropped", "setBack", "equivocation", "floorDown"];

/** How much happens. */
export interface ScheduleSize {
  readonly agents: number;
  readonly actions: number;
  /** Time over which actions are spread, virtual milliseconds. */
  readonly spanMs: number;
}

/** How much happens in the run of a seed, unless somebody says otherwise: small worlds of many shapes find more per second than large ones. */
export function sizeOf(seed: number): ScheduleSize {
  const random = new SeededRandom(seed ^ 0x517e);
  const agents = integerBetween(random, 1, 4);
  return { agents, actions: integerBetween(random, 8, 12) * Math.ceil(agents / 2 + 0.5), spanMs: 120_000 };
}

/** Kinds of actions with their weights. */
const WEIGHTS: readonly (readonly [Action["do"], number])[] = [
  ["change", 14],
  ["tombstone", 5],
  ["corrupt", 1],
  ["retry", 2],
  ["fact", 6],
  ["audit", 5],
  ["revoke", 3],
  ["ask", 3],
  ["drift", 3],
  ["knock", 1],
  ["stuck", 1],
  ["crash", 8],
  ["upgrade", 1],
  ["freeze", 2],
  ["partition", 4],
  ["slow", 2],
  ["reset", 4],
  ["evict", 1],
  ["replay", 2],
  ["flaky", 2],
  ["agentClock", 2],
  ["hubClock", 1],
  ["hubCrash", 2],
  ["hubFreeze", 1],
  ["hubFails", 3],
  ["ownershipMoves", 1],
  ["mangle", 2],
];

/** What happens besides in one run of {@link DISASTER_EVERY}: somebody loses what was durable, or two agents are one. */
const DISASTERS: readonly (readonly [Action["do"], number])[] = [
  ["backup", 4],
  ["restore", 3],
  ["tear", 5],
  ["twin", 2],
  ["hubLoses", 2],
];
/** The other runs keep every invariant at its strictest. */
const DISASTER_EVERY = 3;

/** True for an action after which what was durable may be gone. */
export function isDisaster(kind: Action["do"]): boolean {
  return DISASTERS.some(([disaster]) => disaster === kind);
}

const MANGLINGS: readonly Mangling[] = ["duplicate", "drop", "reorder", "forge", "unknown"];

/** The schedule of a seed, in the order of time. The same seed and size give the same schedule. */
export function scheduleOf(seed: number, size: ScheduleSize): Action[] {
  const random = new SeededRandom(seed ^ 0x5eed);
  const weights = random.next() < 1 / DISASTER_EVERY ? [...WEIGHTS, ...DISASTERS] : WEIGHTS;
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  const actions: Action[] = [];
  for (let i = 0; i < size.actions; i++) {
    let pick = integerBetween(random, 1, total);
    let kind: Action["do"] = "change";
    for (const [candidate, weight] of weights) {
      pick -= weight;
      kind = candidate;
      if (pick <= 0) break;
    }
    // Bursts: a third of the actions follow the one before closely.
    const before = actions.at(-1)?.atMs ?? 0;
    const atMs = random.next() < 0.33 ? before + integerBetween(random, 0, 80) : integerBetween(random, 0, size.spanMs);
    actions.push(actionOf(kind, atMs, random, size));
  }
  return actions.sort((a, b) => a.atMs - b.atMs);
}

function actionOf(kind: Action["do"], atMs: number, random: SeededRandom, size: ScheduleSize): Action {
  const agent = integerBetween(random, 0, size.agents - 1);
  const between = (min: number, max: number): number => integerBetween(random, min, max);
  const chance = (probability: number): boolean => random.next() < probability;
  switch (kind) {
    case "change":
      return { atMs, do: kind, agent, items: between(1, 4), poison: chance(0.15), big: chance(0.07) };
    case "tombstone":
      return { atMs, do: kind, agent, withBody: chance(0.5) };
    case "fact":
      return { atMs, do: kind, agent, name: chance(0.1) ? "never-stored" : `fact-${between(1, 4)}` };
    case "audit":
      return { atMs, do: kind, agent, count: chance(0.1) ? between(100, 900) : between(1, 20) };
    case "crash":
      return { atMs, do: kind, agent, boundaries: chance(0.2) ? 0 : between(1, 25) };
    case "freeze":
      return { atMs, do: kind, agent, forMs: chance(0.4) ? between(60_000, 150_000) : between(500, 20_000) };
    case "partition":
      return { atMs, do: kind, agent, forMs: chance(0.3) ? between(60_000, 200_000) : between(200, 20_000) };
    case "slow":
      return { atMs, do: kind, agent, forMs: between(1_000, 30_000), delayMs: between(100, 3_000) };
    case "flaky":
      return { atMs, do: kind, agent, forMs: between(1_000, 60_000) };
    case "agentClock":
      return { atMs, do: kind, agent, byMs: between(-6 * 3_600_000, 6 * 3_600_000) };
    case "hubClock":
      return { atMs, do: kind, byMs: between(-6 * 3_600_000, 6 * 3_600_000) };
    case "hubCrash":
      return { atMs, do: kind, boundaries: chance(0.4) ? 0 : between(1, 40) };
    case "tear":
      return { atMs, do: kind, agent, boundaries: between(1, 25), transactions: between(1, 4) };
    case "twin":
      return { atMs, do: kind, agent, forMs: between(5_000, 90_000), copied: chance(0.5) };
    case "hubLoses":
      return { atMs, do: kind, agent, epoch: chance(0.5) };
    case "mangle": {
      const how = MANGLINGS[between(0, MANGLINGS.length - 1)] ?? "drop";
      return { atMs, do: kind, agent, forMs: between(1_000, 20_000), how };
    }
    case "hubFreeze":
      return { atMs, do: kind, forMs: chance(0.3) ? between(60_000, 120_000) : between(500, 10_000) };
    case "hubFails":
      return { atMs, do: kind, forMs: between(1_000, 40_000) };
    case "ownershipMoves":
      return { atMs, do: kind, forMs: between(5_000, 60_000) };
    case "drift":
      return { atMs, do: kind, agent, name: `drift-${between(1, 3)}` };
    case "stuck":
      return { atMs, do: kind, agent, forMs: between(1_000, 200_000), way: chance(0.5) ? "up" : "down" };
    case "replay":
      return { atMs, do: kind, agent, what: REPLAYS[between(0, REPLAYS.length - 1)] ?? "old" };
    case "corrupt":
    case "retry":
    case "revoke":
    case "ask":
    case "knock":
    case "upgrade":
    case "backup":
    case "restore":
    case "reset":
    case "evict":
      return { atMs, do: kind, agent };
  }
}

/** One line for people. */
export function describeAction(action: Action): string {
  const { atMs, do: kind, ...rest } = action;
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${String(value)}`);
  return `${(atMs / 1000).toFixed(3).padStart(9)} ${kind} ${fields.join(" ")}`;
}
