import type { SpokeEvent } from "../../src/federation/session/spoke/events.ts";
import type { AgentRules } from "./agent-rules.ts";
import type { AgentStore } from "./agent-store.ts";
import type { Wire } from "./link.ts";
import type { AgentRoom } from "./plane.ts";
import type { Process } from "./process.ts";
import type { SimulatedHub } from "./simulated-hub.ts";
import type { Tenant } from "./tenant.ts";
import type { World } from "./world.ts";

/** What the parts of a simulated agent share: its process, its disk, the tenant behind it and the way to the hub. */
export interface AgentShell {
  readonly world: World;
  readonly process: Process;
  readonly hub: SimulatedHub;
  readonly cluster: string;
  readonly store: AgentStore;
  readonly tenant: Tenant;
  readonly wire: Wire;
  /** A room of the tenant in this process besides; see plane.ts. */
  room(): AgentRoom | undefined;
  /** Rules of this life of the process. */
  rules(): AgentRules | undefined;
  agentVersion(): string;
  /** True when the effects being performed are of several Readys that shared a commit. */
  shared(): boolean;
  /** An event happens now, or in its turn. */
  step(event: SpokeEvent): void;
  event(make: () => SpokeEvent): void;
  /** Something on the tenant reports its state. */
  fact(name: string): void;
}

/** Goes on when a room is done, in this life of the process only. */
export function afterwards<T>(
  { process, world }: Pick<AgentShell, "process" | "world">,
  work: Promise<T>,
  done: (outcome: T) => void,
): void {
  const { incarnation } = process;
  const goOn = async (): Promise<void> => {
    const outcome = await work;
    if (incarnation === process.incarnation) process.after(0, () => done(outcome));
  };
  world.stir();
  goOn().catch(world.fail);
}
