import type { ComputedContent } from "../builder/computed-content.ts";
import type { DeclaredGrant } from "../decision/trimmed-grants.ts";

/** A version of a cluster's snapshot as it is published. */
export interface PublishedVersion {
  readonly version: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly contentHash: string;
}

/** What is known of a cluster's permissions now. */
export type LiveCluster =
  /** No such cluster is registered. */
  | { readonly state: "unknown" }
  /** Not computed yet, or not known yet whether it is registered. */
  | { readonly state: "waiting" }
  | {
      readonly state: "computed";
      readonly content: ComputedContent;
      /** Published last; absent before the first. It may be of an older content. */
      readonly published: PublishedVersion | undefined;
      /** How long ago the API server was last heard, milliseconds: how old the answer may be at most. */
      readonly ageMs: number;
    };

/** The effective permission graph of the fleet as it stands (permissions §11.4). */
export interface LivePermissions {
  of(cluster: string): LiveCluster;
  /** What provisioned profiles declare on a cluster, before their ceilings. */
  declared(cluster: string): Iterable<DeclaredGrant>;
  /**
   * Calls `listener` with a cluster after its content, its published version or its registration became another; with undefined when that
   * may be so of any. Listeners must not throw. Returns the way to stop.
   */
  subscribe(listener: (cluster: string | undefined) => void): () => void;
}
