import type { AuditSinkSettings } from "../../src/federation/audit/open-audit-sink.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";
import type { AgentMaterial } from "../federation/material.ts";

/** What the audit bench asks its child processes. */
export type AuditCommand =
  | {
      readonly type: "startHub";
      readonly tls: TlsMaterial;
      readonly clusters: readonly string[];
      /** PKCS#8 PEM of the index signer. */
      readonly signingKeyPem: string;
      /** `none` answers at once and keeps nothing: what the channel costs by itself. */
      readonly sink: AuditSinkSettings | "none";
    }
  /** Answered when so many events more than before are durable; time from the first batch to the last answer. */
  | { readonly type: "awaitStored"; readonly events: number }
  /** Each agent's log is filled with so many events, before it connects. */
  | {
      readonly type: "fill";
      readonly directory: string;
      readonly agents: readonly AgentMaterial[];
      readonly publicKeyPem: string;
      readonly events: number;
    }
  | { readonly type: "connect"; readonly port: number }
  /** So many events more to each agent, while it is connected; `inFlight` of them wait for the log at a time. */
  | { readonly type: "append"; readonly events: number; readonly inFlight: number }
  | { readonly type: "cpu" }
  | { readonly type: "stop" };

/** What they answer. */
export interface AuditAnswer {
  readonly port?: number;
  readonly elapsedMs?: number;
  readonly cpuMs?: number;
  /** Bytes of one event, for the record. */
  readonly eventBytes?: number;
}
