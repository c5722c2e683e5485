import type { Nack } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { HubSessionView } from "../session/hub/view.ts";
import type { DesiredIndex } from "./ports.ts";

/** What operators see of the hub: read-only, made when asked, changes announced per cluster and coalesced. */
export interface HubView {
  /** Name of this replica. */
  readonly replica: string;
  /** Every known tenant, connected or not, sorted by cluster. */
  agents(): readonly AgentView[];
  agent(cluster: string): AgentView | undefined;
  /** Items of the tenant's current index, sorted by kind and name; empty when none was signed yet. */
  items(cluster: string): readonly ItemView[];
  item(cluster: string, kind: string, name: string): ItemView | undefined;
  counters(): HubCountersView;
  /** Calls `listener` with a cluster whose view changed, at most every 100 ms per cluster. Returns the way to stop. */
  subscribe(listener: (cluster: string) => void): () => void;
  /** Lifts the quarantine of an item on an agent and has it tried again. False when the index does not name the item. */
  retry(cluster: string, kind: string, name: string): boolean;
}

/** One tenant. */
export interface AgentView {
  readonly cluster: string;
  /** True while a verified stream carries the session. */
  readonly connected: boolean;
  readonly session: HubSessionView;
  /** End of the client certificate of the live stream, Unix milliseconds; undefined without one. */
  readonly certificateNotAfterMs: number | undefined;
  /** Normalised serial of that certificate; empty without one. */
  readonly certificateSerial: string;
  readonly desired: DesiredIndex | undefined;
  readonly items: ItemCountsView;
  /** Why the channel is degraded; empty when it is not. */
  readonly degradedReason: string;
}

/** Items by the highest level they reached; a level counts the higher ones too. */
export interface ItemCountsView {
  readonly desired: number;
  readonly received: number;
  readonly verified: number;
  readonly applied: number;
  readonly healthy: number;
  readonly quarantined: number;
}

/** One item of one tenant's current index and how far it came. */
export interface ItemView {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly size: number;
  readonly deleted: boolean;
  /** Highest level reached for this version: 0 to 4 as ItemReport.Level. */
  readonly level: number;
  /** When each level was reached by the agent's clock, Unix milliseconds; index is the level, undefined when not (or not known). */
  readonly levelAtMs: readonly (number | undefined)[];
  /** When this hub offered this version, Unix milliseconds; undefined when not by this process. */
  readonly offeredAtMs: number | undefined;
  /** Refusal in force. */
  readonly nack: Nack | undefined;
  readonly quarantined: boolean;
  /** When the agent tries again, Unix milliseconds; 0 when nothing is due. */
  readonly nextRetryMs: number;
  /** What the agent waits for, for people. */
  readonly waitingFor: string;
  /** Last version that reached `applied` before this one, while this one has not; undefined when not known. */
  readonly lastAppliedVersion: number | undefined;
}

/** Totals of this process. */
export interface HubCountersView {
  /** Live streams. */
  readonly streams: number;
  /** Streams refused at admission or by identity, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly framesReceived: number;
  readonly framesSent: number;
}
