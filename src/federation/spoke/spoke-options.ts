import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";
import type { KeyLookup } from "../../trust/dsse.ts";
import type { TlsMaterial } from "../../trust/tls/tls-material.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { DialDeadlines } from "../wire/dial-stream.ts";
import type { ItemHandler, SpokeEvents } from "./ports.ts";

/** Options of startSpoke. */
export interface SpokeOptions {
  /** Hub endpoints, `host:port`, in order of preference; the hub may name others in Welcome. */
  readonly endpoints: readonly string[];
  /** Name the hub's certificate must hold instead of the dialled host (R-4.5, FEDERATION_SERVER_NAME). */
  readonly serverName?: string;
  /** Reads certificate, key and CA: called at each dial, so that a renewed certificate counts from the next stream on. */
  readonly tls: () => Promise<TlsMaterial>;
  /** Own cluster id. */
  readonly cluster: string;
  /** Version of this build. */
  readonly agentVersion: string;
  /** Folder of the durable store, or a store that its owner opens. */
  readonly store: ({ readonly directory: string } | { readonly outbox: Outbox }) & { readonly auditCapBytes?: number };
  /** Keys an index must be signed by. */
  readonly keys: KeyLookup;
  /** Ids for Hello.trusted_key_ids. */
  readonly trustedKeyIds?: readonly string[];
  /** One per item kind. */
  readonly handlers: readonly ItemHandler[];
  readonly events: SpokeEvents;
  readonly deadlines?: DialDeadlines;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics?: Metrics;
  readonly signal: AbortSignal;
}
