import type { SnapshotReceiptReport } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { IndexItem } from "../../src/federation/index/index-document.ts";
import type { HandlerPhase } from "../../src/federation/session/spoke/effects.ts";
import type { ItemNack } from "../../src/federation/spoke/ports.ts";
import type { Agent } from "./agent.ts";
import type { BlobWorld, DesiredState } from "./desired-state.ts";
import type { SimulatedHub } from "./simulated-hub.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

/** What lives in the world besides hub and agents: rooms whose content the federation carries. */
export interface Plane {
  /** Faults of its own go on until then, virtual milliseconds. */
  readonly untilMs: number;
  /** Frames and handlers per agent that a resting plane may still cause. */
  readonly restingFrames: number;
  /** True for an item that nobody else changes or removes. */
  owns(item: IndexItem): boolean;
  /** Before the hub boots for the first time. */
  begin(): void;
  /** All faults end. */
  heal(): void;
  /** Nothing new is produced any more: the fleet must become quiet. */
  rest(): void;
  /** What is still missing until every tenant has what it should have; empty when nothing is. */
  missing(): string;
}

/** The world of one run, for a {@link Plane}. */
export interface Fleet {
  readonly world: World;
  readonly blobs: BlobWorld;
  readonly desired: readonly DesiredState[];
  readonly agents: readonly Agent[];
  readonly hub: SimulatedHub;
  /** True when no revocation is ever pushed. */
  readonly losesPushes: boolean;
  /** Signs the next index of a tenant and announces it. */
  publish(state: DesiredState): void;
}

/** One life of an agent's process, for the rooms that live in it. */
export interface AgentLife {
  readonly process: Process;
  /** Process-local monotonic milliseconds. */
  monotonicMs(): number;
  /** The tenant's wall clock. */
  wallMs(): number;
  /** A place where the process may die; true: it did. */
  boundary(): boolean;
  /** A report enters the state lane. */
  snapshotReceipt(report: Omit<SnapshotReceiptReport, "$typeName" | "reportVersion">): void;
  audit(count: number): void;
}

/** A room of the tenant inside the agent's process, with a disk of its own. */
export interface AgentRoom {
  booted(life: AgentLife): void;
  /** The process died, and whatever the disk was losing is lost. */
  ended(): void;
  handles(item: IndexItem): boolean;
  /** Runs one phase of an item. Never resolves when the process dies meanwhile. */
  run(phase: HandlerPhase, item: IndexItem, read: (digest: string) => Uint8Array): Promise<ItemNack | undefined>;
  /** Puts a revocation floor in force. */
  revokeBelow(minSequence: number): Promise<void>;
  /** A backup of the room's disk is taken; {@link restore} brings it back, or an empty disk. */
  backup(): void;
  restore(): void;
  /** From now on the disk may lose its last `writes` although it said they were safe. */
  tearing(writes: number): void;
}
