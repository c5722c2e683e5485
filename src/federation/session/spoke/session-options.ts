import type { Random } from "../../../base/random.ts";
import type { KeyLookup } from "../../../trust/dsse.ts";
import type { SpokeRecord } from "./record.ts";

/** Parts a spoke session is made of. */
export interface SpokeSessionOptions {
  /** Own cluster id. */
  readonly cluster: string;
  /** Version of this build: a quarantine ends with another one. */
  readonly agentVersion: string;
  /** New at each start of the process. */
  readonly instanceId: string;
  /** Trusted keys, as installed now. */
  readonly keys: KeyLookup;
  /** Ids for Hello.trusted_key_ids. */
  readonly trustedKeyIds: readonly string[];
  readonly random: Random;
  /** What the durable store held at start. */
  readonly record: SpokeRecord;
  /** When it was read back, Unix milliseconds. */
  readonly readBackMs: number;
  /** Protocol versions to speak, ascending: fewer than all make the agent of an earlier build. */
  readonly protocolVersions?: readonly number[];
}
