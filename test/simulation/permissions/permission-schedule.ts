import { SeededRandom, integerBetween } from "../../../src/base/random.ts";
import type { ScheduleSize } from "../schedule.ts";

/** Ways to put into the signed Secret what no signer put there. */
export const FORGERIES = ["stranger", "retired", "older", "other-cluster", "altered", "unsigned"] as const;

/** One of {@link FORGERIES}. */
export type Forgery = (typeof FORGERIES)[number];

/** One thing that is done to the permission plane, at a time. `agent` counts from 0. */
export type PermissionAction =
  | {
      readonly atMs: number;
      readonly do: "grant";
      readonly agent: number;
      readonly profile: string;
      readonly big: boolean;
    }
  | { readonly atMs: number; readonly do: "remove"; readonly agent: number; readonly profile: string }
  | { readonly atMs: number; readonly do: "tighten"; readonly agent: number }
  | { readonly atMs: number; readonly do: "suspend"; readonly agent: number }
  | { readonly atMs: number; readonly do: "bind"; readonly agent: number }
  | {
      readonly atMs: number;
      readonly do: "surface";
      readonly agent: number;
      readonly verbs: "as declared" | "beyond" | "none";
    }
  | {
      readonly atMs: number;
      readonly do: "revokeSnapshot";
      readonly agent: number;
      readonly ahead: number;
      /** For the moment between the verification and the activation of an offer. */
      readonly waits: boolean;
    }
  | { readonly atMs: number; readonly do: "forge"; readonly agent: number; readonly how: Forgery }
  | { readonly atMs: number; readonly do: "rotate"; readonly stepMs: number; readonly careless: boolean }
  | { readonly atMs: number; readonly do: "loseKeys"; readonly agent: number; readonly forMs: number }
  | { readonly atMs: number; readonly do: "signerCrash"; readonly signer: number; readonly boundaries: number }
  | { readonly atMs: number; readonly do: "signerFreeze"; readonly signer: number; readonly forMs: number }
  | { readonly atMs: number; readonly do: "diskCrash"; readonly agent: number; readonly writes: number }
  | { readonly atMs: number; readonly do: "apiFails"; readonly agent: number; readonly forMs: number }
  | { readonly atMs: number; readonly do: "managementFails"; readonly forMs: number }
  | { readonly atMs: number; readonly do: "managementBackup" }
  | { readonly atMs: number; readonly do: "managementRestore" }
  | { readonly atMs: number; readonly do: "ledgerLost"; readonly agent: number; readonly secretToo: boolean };

/** Kinds of actions with their weights. */
const WEIGHTS: readonly (readonly [PermissionAction["do"], number])[] = [
  ["grant", 12],
  ["remove", 6],
  ["tighten", 2],
  ["suspend", 2],
  ["bind", 2],
  ["surface", 3],
  ["revokeSnapshot", 3],
  ["forge", 7],
  ["rotate", 2],
  ["loseKeys", 2],
  ["signerCrash", 7],
  ["signerFreeze", 2],
  ["diskCrash", 5],
  ["apiFails", 2],
  ["managementFails", 2],
];

/** What happens besides in one run of {@link DISASTER_EVERY}: the management cluster loses what it gave out. */
const DISASTERS: readonly (readonly [PermissionAction["do"], number])[] = [
  ["managementBackup", 4],
  ["managementRestore", 3],
  ["ledgerLost", 2],
];
const DISASTER_EVERY = 3;

/** Signer replicas of a run. */
export const SIGNERS = 2;

/** What is done to the permission plane in the run of a seed, in the order of time. */
export function permissionSchedule(seed: number, size: ScheduleSize): PermissionAction[] {
  const random = new SeededRandom(seed ^ 0x9e12);
  const between = (min: number, max: number): number => integerBetween(random, min, max);
  const chance = (probability: number): boolean => random.next() < probability;
  const weights = chance(1 / DISASTER_EVERY) ? [...WEIGHTS, ...DISASTERS] : WEIGHTS;
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  const actions: PermissionAction[] = [];
  for (let i = 0; i < size.actions; i++) {
    let pick = between(1, total);
    let kind: PermissionAction["do"] = "grant";
    for (const [candidate, weight] of weights) {
      pick -= weight;
      kind = candidate;
      if (pick <= 0) break;
    }
    const atMs = chance(0.33) ? (actions.at(-1)?.atMs ?? 0) + between(0, 80) : between(0, size.spanMs);
    const agent = between(0, size.agents - 1);
    actions.push(actionOf(kind, atMs, agent, between, chance));
    // A revocation meets what is on its way.
    if (kind === "revokeSnapshot" && chance(0.7))
      actions.push(actionOf("grant", Math.max(0, atMs - between(0, 1_500)), agent, between, chance));
    // What comes back knows less than the tenants hold, and then other content is declared before anything is signed again.
    if (kind === "managementRestore" && chance(0.8)) {
      const backupMs = Math.max(0, atMs - between(8_000, 20_000));
      actions.push(actionOf("managementBackup", backupMs, agent, between, chance));
      actions.push(actionOf("grant", backupMs + between(100, 2_000), agent, between, chance));
      actions.push(actionOf("grant", Math.max(0, atMs - between(0, 100)), agent, between, chance));
    }
  }
  return actions.sort((a, b) => a.atMs - b.atMs);
}

function actionOf(
  kind: PermissionAction["do"],
  atMs: number,
  agent: number,
  between: (min: number, max: number) => number,
  chance: (probability: number) => boolean,
): PermissionAction {
  const profile = `profile-${between(1, 3)}`;
  const signer = between(0, SIGNERS - 1);
  switch (kind) {
    case "grant":
      // One at a time: above a MiB the index is built by a worker, in a time of its own.
      return { atMs, do: kind, agent, profile, big: profile === "profile-1" && chance(0.05) };
    case "remove":
      return { atMs, do: kind, agent, profile };
    case "tighten":
    case "suspend":
    case "bind":
      return { atMs, do: kind, agent };
    case "revokeSnapshot":
      return { atMs, do: kind, agent, ahead: between(0, 2), waits: chance(0.5) };
    case "forge":
      return { atMs, do: kind, agent, how: FORGERIES[between(0, FORGERIES.length - 1)] ?? "stranger" };
    case "rotate":
      return { atMs, do: kind, stepMs: between(50, 20_000), careless: chance(0.3) };
    case "loseKeys":
      return { atMs, do: kind, agent, forMs: between(500, 30_000) };
    case "signerCrash":
      return { atMs, do: kind, signer, boundaries: chance(0.2) ? 0 : between(1, 30) };
    case "signerFreeze":
      return { atMs, do: kind, signer, forMs: between(1_000, 15_000) };
    case "surface":
      return { atMs, do: kind, agent, verbs: (["as declared", "beyond", "none"] as const)[between(0, 2)] ?? "none" };
    case "diskCrash":
      return { atMs, do: kind, agent, writes: between(1, 6) };
    case "apiFails":
      return { atMs, do: kind, agent, forMs: between(1_000, 30_000) };
    case "managementFails":
      return { atMs, do: kind, forMs: between(1_000, 30_000) };
    case "ledgerLost":
      return { atMs, do: kind, agent, secretToo: chance(0.3) };
    case "managementBackup":
    case "managementRestore":
      return { atMs, do: kind };
  }
}

/** One line for people. */
export function describePermissionAction(action: PermissionAction): string {
  const { atMs, do: kind, ...rest } = action;
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${String(value)}`);
  return `${(atMs / 1000).toFixed(3).padStart(9)} ${kind} ${fields.join(" ")}`;
}
