import type { ConnectionLimits } from "../../trust/tls/connection-limits.ts";
import type { TlsSource } from "../../trust/tls/tls-material.ts";
import type { GrpcService } from "../../api/grpc/service-implementation.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";
import type { TokenRate } from "../../base/token-bucket.ts";
import type { HubMessage, RequestPayload, ResponsePayload } from "../session/payload.ts";
import { DEFAULT_TENANT_RATES, type TenantRateLimits } from "./tenant-rates.ts";
import type { ChannelState } from "./mirror/channel-state.ts";
import type {
  AuditSink,
  DesiredStates,
  FactStore,
  HubMembership,
  RetryOrders,
  RevocationOutbox,
  SessionOwnership,
  TenantDirectory,
} from "./ports.ts";

/** Options of startHub. */
export interface HubOptions {
  /** Interface of 9443. */
  readonly address: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Server certificate and the federation CA. */
  readonly tls: TlsSource;
  /** Name of this replica, for Welcome and logs. */
  readonly replica: string;
  /** Endpoints for Welcome, `host:port`, when `membership` names none; empty keeps the agents' configured ones. */
  readonly endpoints: readonly string[];
  readonly desired: DesiredStates;
  readonly facts: FactStore;
  readonly audit: AuditSink;
  readonly directory: TenantDirectory;
  readonly ownership: SessionOwnership;
  /** Absent: this hub has no other replica. */
  readonly membership?: HubMembership;
  readonly revocations: RevocationOutbox;
  readonly retries: RetryOrders;
  /** Transitions of a tenant's channel; failures are logged and tried again with the next transition. */
  readonly onChannel?: (cluster: string, state: ChannelState) => Promise<void>;
  /** Answers validation and renewal requests; absent: they are refused as unsupported. */
  readonly onRequest?: (cluster: string, request: RequestPayload) => Promise<ResponsePayload>;
  /** Current DriftUpdates of a tenant, handed in anew when a stream went live or after a full queue. */
  readonly messages?: (cluster: string) => Promise<readonly KeyedMessage[]>;
  /** Further services behind the same mTLS (reflection and health are added by the hub). */
  readonly services?: readonly GrpcService[];
  readonly limits?: Partial<HubLimits>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** A message for an agent and the key under which a newer one replaces it. */
export interface KeyedMessage {
  readonly key: string;
  readonly message: HubMessage;
}

/** Limits of one hub replica. */
export interface HubLimits {
  readonly connections: Partial<ConnectionLimits>;
  /**
   * New streams (lessons §5.1). The rate leaves a core time for what else it does; the burst is work of some two seconds, far below the
   * deadlines of handshake and hello, so that a fleet of a thousand finds its hub again without being sent away (docs/performance.md).
   */
  readonly admission: TokenRate;
  /** New streams of one cluster (conductor §4.3). */
  readonly perCluster: TokenRate;
  /** Requests and facts of one cluster. */
  readonly tenantRates: TenantRateLimits;
  /** Time over which agents are sent away at shutdown, milliseconds. */
  readonly lameDuckMs: number;
  /** Period of heartbeats, milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** Sessions loaded at a time; the rest wait (lessons §5.2). */
  readonly concurrentLoads: number;
  /** Bytes of small bodies kept to ride with offers. */
  readonly inlineCacheBytes: number;
}

/** Defaults. */
export const DEFAULT_HUB_LIMITS: HubLimits = {
  connections: {
    maxConnections: 10_000,
    maxConnectionsPerIdentity: 8,
    overheadBytesPerSecond: 128 * 1024,
    accept: { perSecond: 500, burst: 1_500 },
  },
  admission: { perSecond: 300, burst: 1_000 },
  perCluster: { perSecond: 0.5, burst: 5 },
  tenantRates: DEFAULT_TENANT_RATES,
  lameDuckMs: 20_000,
  heartbeatIntervalMs: 30_000,
  concurrentLoads: 20,
  inlineCacheBytes: 32 * 1024 * 1024,
};
