import type { AuditSinkSettings } from "../../src/federation/audit/open-audit-sink.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

/** What a hub process is started with. */
export interface HubStart {
  readonly port: number;
  readonly tls: TlsMaterial;
  readonly clusters: readonly string[];
  readonly signingKeyPem: string;
  readonly sink: AuditSinkSettings;
  readonly seed: number;
}

/** From a hub process. */
export type FromHub = { readonly type: "listening"; readonly port: number };

/** What an agent process is started with. */
export interface AgentStart {
  readonly cluster: string;
  readonly tls: TlsMaterial;
  readonly port: number;
  readonly directory: string;
  readonly publicKeyPem: string;
  /** Tells the ids of this process from those of the one before. */
  readonly incarnation: number;
  /** Events to log. */
  readonly events: number;
}

/** From an agent process: ids that are durable in its log, or that a hub has acknowledged everything. */
export type FromAgent =
  | { readonly type: "durable"; readonly ids: readonly string[] }
  | { readonly type: "acknowledged"; readonly through: bigint };
