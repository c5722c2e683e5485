import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import type { HubSession } from "../../src/federation/session/hub/hub-session.ts";
import type { HubRules } from "./hub-rules.ts";
import type { Link } from "./link.ts";
import type { EffectRate } from "./world.ts";

/** One tenant as the hub's process sees it; gone with the process. */
export interface Served {
  readonly session: HubSession;
  readonly links: Map<number, Link>;
  readonly pins: Map<string, Uint8Array>;
  generation: number;
  tickAtMs: number;
  readonly rate: EffectRate;
  /** Batches that the sink has not stored yet. */
  storing: number;
  readonly rules: HubRules;
  /** What the machine takes for the desired index, which may be a wrong one. */
  told: DesiredIndex | undefined;
}
