import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import type { IndexRevocation } from "../../src/federation/index/index-document.ts";
import type { HubSession } from "../../src/federation/session/hub/hub-session.ts";
import type { SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import type { HubStore } from "./hub-store.ts";
import type { Link, LinkEnd } from "./link.ts";
import type { Process } from "./process.ts";

/** What one of several replicas has to do with the others (replicas/); absent for a hub that is alone. */
export interface HubPart {
  readonly name: string;
  /** Of the present membership. */
  readonly identity: string;
  readonly stores: Map<string, HubStore>;
  /** A new life began. `release` ends the stream of a session that another replica owns. */
  booted(process: Process, release: (cluster: string, endpoint: string) => void): void;
  /** Asked before every event. */
  valid(): boolean;
  endpoints(cluster: string): readonly string[];
  elsewhere(cluster: string): string;
  acquire(cluster: string, above: bigint, done: (term: bigint | undefined) => void): void;
  fenced<T>(cluster: string, object: string, write: () => T, done: (outcome: T | undefined) => void): void;
}

/** The hub as schedules and agents see it: one process, or several replicas. */
export interface SimulatedHub {
  readonly wallMs: number;
  readonly busyFrames: number;
  failing: boolean;
  moving: boolean;
  skewMs: number;
  boot(): void;
  session(cluster: string): HubSession | undefined;
  store(cluster: string): HubStore;
  crash(boundaries: number): void;
  settle(): void;
  lose(cluster: string): void;
  freeze(ms: number): void;
  desiredChanged(cluster: string): void;
  replay(cluster: string, old: DesiredIndex): void;
  revoke(cluster: string, revocation: IndexRevocation): void;
  retry(cluster: string, kind: string, name: string): void;
  pinned(cluster: string): number;
  drift(cluster: string, name: string): void;
  /** Bytes and bodies held for agents, by the simulator's own measure. */
  checkMemory(): void;
  evict(cluster: string): void;
  checkAcknowledged(cluster: string, write: SpokeWrite): void;
  /** An agent dials; `endpoints` are those it was told of, empty for the configured ones. */
  accept(cluster: string, connect: (end: LinkEnd) => Link, endpoints: readonly string[]): Link | undefined;
}
