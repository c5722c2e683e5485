import { Secret, type SecretObject } from "../../api/builtin.ts";
import { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { LABELS, NAMESPACES } from "../../api/names.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import { InformerSet, type InformerSetParts } from "../../controller/cache/informer-set.ts";

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
export function startPermissionCaches(parts: InformerSetParts): PermissionCaches {
  const informers = new InformerSet(parts);
  return {
    clusters: informers.start(TalosCluster),
    profiles: informers.start(RBACProfile, {
      indexes: { [BY_NAMESPACE]: ({ metadata }) => [metadata.namespace ?? ""] },
    }),
    policies: informers.start(RBACPolicy),
    sets: informers.start(PermissionSet),
    providers: informers.start(IdentityProvider),
    bindings: informers.start(IdentityBinding),
    snapshots: informers.start(PermissionSnapshot, { namespace: NAMESPACES.seam }),
    secrets: informers.start(Secret, { labelSelector: `${LABELS.snapshotType}=${SIGNED_SNAPSHOT}` }),
    synced: informers.synced,
    closed: informers.closed,
  };
}
