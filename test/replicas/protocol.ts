import type { AuditEventBatch } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { AuditAppendResult, AuditSinkPosition, DesiredIndex } from "../../src/federation/hub/ports.ts";
import type { BalanceTimes } from "../../src/federation/hub/membership/balance-load.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

/** Name of the receipt that every agent of the load reports again and again. */
export const RECEIPT = "load";

/** How a replica process is started. */
export interface ReplicaOptions {
  readonly replica: string;
  /** Where agents reach it; a restarted replica gets the port it had. */
  readonly port: number;
  /** The management API server, through the cable that a test can pull. */
  readonly api: {
    readonly server: string;
    readonly caPem: string;
    readonly clientCertPem: string;
    readonly clientKeyPem: string;
  };
  readonly tls: TlsMaterial;
  readonly clusters: readonly string[];
  readonly heartbeatMs: number;
  readonly balance: BalanceTimes;
}

/** From the test to a replica. */
export type ToReplica =
  | { readonly type: "start"; readonly options: ReplicaOptions }
  | {
      readonly type: "desired";
      readonly cluster: string;
      readonly desired: DesiredIndex;
      readonly bodies: readonly Body[];
    }
  /** The wall clock of the process jumps. */
  | { readonly type: "clock"; readonly byMs: number }
  | { readonly type: "look" }
  /** An operator orders a retry here; answered when it is durable. */
  | { readonly type: "retry"; readonly cluster: string; readonly name: string; readonly digest: string }
  | { readonly type: "answer"; readonly id: number; readonly value?: unknown; readonly error?: string };

/** A body by its digest. */
export interface Body {
  readonly digest: string;
  readonly data: Uint8Array;
}

/** From a replica to the test. */
export type FromReplica =
  | { readonly type: "started" }
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "looked"; readonly look: ReplicaLook }
  | { readonly type: "retried" }
  /** The audit sink that all replicas share lives in the test's process, behind this. */
  | { readonly type: "append"; readonly id: number; readonly cluster: string; readonly batch: AuditEventBatch }
  | { readonly type: "position"; readonly id: number; readonly cluster: string; readonly epoch: bigint };

/** What the sink answers. */
export type SinkAnswer = AuditAppendResult | AuditSinkPosition;

/** State of one replica. */
export interface ReplicaLook {
  readonly identity: string;
  readonly member: boolean;
  readonly connected: number;
  /** Replicas it takes for alive. */
  readonly alive: readonly string[];
  /** Counters by name, labels summed. */
  readonly counts: ReadonlyMap<string, number>;
}

/** How agents are started. */
export interface AgentsOptions {
  readonly agents: readonly { readonly cluster: string; readonly tls: TlsMaterial }[];
  readonly endpoints: readonly string[];
  readonly publicKeyPem: string;
  /** Period of audit events of one agent, milliseconds. */
  readonly auditMs: number;
  /** Period of receipts of one agent, milliseconds. */
  readonly factMs: number;
}

/** An item of this name is refused for good by its agent until it is mended. */
export const POISON = "poison";

/** From the test to the agents. */
export type ToAgents =
  | { readonly type: "start"; readonly options: AgentsOptions }
  /** Answered when all agents are live. */
  | { readonly type: "awaitLive" }
  /** Which agents are at a replica; from now on their way to another one is timed. */
  | { readonly type: "mark"; readonly replica: string }
  /** Answered when every marked agent is live at another replica than the marked one. */
  | { readonly type: "awaitMoved" }
  /** From now on nothing is poison any more. */
  | { readonly type: "mend" }
  /** Ends the load; answered when everything each agent had to say is acknowledged. */
  | { readonly type: "settle" };

/** From the agents to the test. */
export type FromAgents =
  | { readonly type: "done" }
  | { readonly type: "marked"; readonly clusters: readonly string[] }
  | { readonly type: "moved"; readonly servedAgainMs: readonly number[] }
  | { readonly type: "settled"; readonly agents: readonly SettledAgent[] }
  | { readonly type: "failed"; readonly message: string };

/** What one agent knows after all was acknowledged. */
export interface SettledAgent {
  readonly cluster: string;
  readonly replica: string;
  readonly term: bigint;
  readonly auditEpoch: bigint;
  readonly auditLast: bigint;
  /** Number in its newest receipt. */
  readonly lastFact: number;
  /** How often each version of each item took effect. */
  readonly applied: ReadonlyMap<string, number>;
  /** Digest of the index it holds. */
  readonly held: string;
  readonly staleTerms: number;
}
