import type { Log } from "../../../base/log.ts";
import type { Semaphore } from "../../../base/semaphore.ts";
import type { BlobShelf } from "../blob-shelf.ts";
import type { HubLimits, HubOptions } from "../hub-options.ts";
import type { HubMembership } from "../ports.ts";
import type { Turns } from "../turns.ts";

/** What all session hosts of a hub share. */
export interface HubShared {
  readonly options: HubOptions;
  readonly limits: HubLimits;
  readonly shelf: BlobShelf;
  readonly loads: Semaphore;
  readonly membership: HubMembership;
  /** Turns to compare range digests (lessons §5.2), by cluster. */
  readonly compares: Turns<string>;
  /** Something about a cluster changed. */
  changed(cluster: string): void;
}

/** What the parts of one session host share. */
export interface HostScope {
  readonly cluster: string;
  readonly shared: HubShared;
  /** Names the cluster in every line. */
  readonly log: Log;
}
