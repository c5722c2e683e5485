import { Secret, type SecretObject } from "../../api/builtin.ts";
import { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { LABELS, NAMESPACES } from "../../api/names.ts";
import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { type Informer, type InformerOptions, startInformer } from "../../controller/cache/informer.ts";

/** Label value of Secrets with a signed snapshot. */
export const SIGNED_SNAPSHOT = "signed";

/** Index of the profiles by their namespace: who looks for some of a namespace passes no other ones. */
export const BY_NAMESPACE = "namespace";

/** Watch-fed caches of everything content is computed from and written to. */
export interface PermissionCaches {
  readonly clusters: Informer<TalosCluster>;
  readonly profiles: Informer<RBACProfile>;
  readonly policies: Informer<RBACPolicy>;
  readonly sets: Informer<PermissionSet>;
  readonly providers: Informer<IdentityProvider>;
  readonly bindings: Informer<IdentityBinding>;
  readonly snapshots: Informer<PermissionSnapshot>;
  readonly secrets: Informer<SecretObject>;
  /** Resolves when all of them have synced. */
  readonly synced: Promise<void>;
  /** Resolves when the signal has aborted and every watch is closed. */
  readonly closed: Promise<void>;
}

/** Starts the caches on the management cluster. */
export function startPermissionCaches(parts: {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}): PermissionCaches {
  const informer = <T extends KubeObject>(
    type: ResourceType<T>,
    selection: Pick<InformerOptions<T>, "namespace" | "labelSelector" | "indexes"> = {},
  ): Informer<T> => startInformer({ ...parts, type, ...selection });
  const clusters = informer(TalosCluster);
  const profiles = informer(RBACProfile, { indexes: { [BY_NAMESPACE]: ({ metadata }) => [metadata.namespace ?? ""] } });
  const policies = informer(RBACPolicy);
  const sets = informer(PermissionSet);
  const providers = informer(IdentityProvider);
  const bindings = informer(IdentityBinding);
  const snapshots = informer(PermissionSnapshot, { namespace: NAMESPACES.seam });
  const secrets = informer(Secret, { labelSelector: `${LABELS.snapshotType}=${SIGNED_SNAPSHOT}` });
  const all = [clusters, profiles, policies, sets, providers, bindings, snapshots, secrets];
  return {
    clusters,
    profiles,
    policies,
    sets,
    providers,
    bindings,
    snapshots,
    secrets,
    synced: Promise.all(all.map(({ synced }) => synced)).then(() => {}),
    closed: Promise.all(all.map(({ closed }) => closed)).then(() => {}),
  };
}
