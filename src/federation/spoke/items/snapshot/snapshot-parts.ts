import type { AuditTrail } from "../../../../api/audit-record.ts";
import type { Clock } from "../../../../base/clock.ts";
import type { Log } from "../../../../base/log.ts";
import type { Cluster } from "../../../../cluster/cluster.ts";
import type { SnapshotStore } from "../../../../permissions/store/snapshot-store.ts";
import type { FactOutbox } from "../../ports.ts";
import type { FollowerDirectory } from "../../replicas/follower-directory.ts";
import type { SurfaceFacts } from "../../rbac/surface-facts.ts";

/** What the handler of permission snapshots works with. */
export interface SnapshotParts {
  /** Own cluster id. */
  readonly clusterId: string;
  /** The tenant cluster. */
  readonly cluster: Cluster;
  readonly store: SnapshotStore;
  readonly facts: Pick<FactOutbox, "snapshotReceipt">;
  /** The cluster's audit log. */
  readonly trail: AuditTrail;
  /** What is known of the cluster's own RBAC; told with every report. */
  readonly surface: SurfaceFacts;
  /** Name of this replica, in the mirror. */
  readonly replica?: string;
  /** The replicas that follow; absent: there are none. */
  readonly followers?: Pick<FollowerDirectory, "revoke">;
  readonly clock: Clock;
  readonly log: Log;
}
