import type { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import type { PermissionView } from "../engine/permission-view.ts";

/** An effective permission graph with what is published of it: the leader's, or one that a replica computes for its own answers. */
export interface PermissionSource {
  /** Undefined before the first computation. */
  view(): PermissionView | undefined;
  readonly clusters: Pick<Informer<TalosCluster>, "hasSynced" | "lastContactMs" | "list">;
  readonly snapshots: Pick<Informer<PermissionSnapshot>, "hasSynced" | "lastContactMs" | "get">;
  /**
   * Calls `listener` with a cluster after its content or its published version became another; with undefined after everything was looked
   * at. Returns the way to stop.
   */
  subscribe(listener: (cluster: string | undefined) => void): () => void;
}

/** Who listens to a {@link PermissionSource}. */
export class SourceListeners {
  readonly #listeners = new Set<(cluster: string | undefined) => void>();

  subscribe(listener: (cluster: string | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(cluster: string | undefined): void {
    for (const listener of this.#listeners) listener(cluster);
  }
}
