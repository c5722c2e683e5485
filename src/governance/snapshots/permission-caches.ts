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
import type { RunningEngineParts } from "../engine/running-engine.ts";
import { InformerSet, type InformerSetParts } from "../../controller/cache/informer-set.ts";

/** Label value of Secrets with a signed snapshot. */
export const SIGNED_SNAPSHOT = "signed";

/** Index of the profiles by their namespace: who looks for some of a namespace passes no other ones. */
export const BY_NAMESPACE = "namespace";

/** Watch-fed caches of everything content is computed from, and of what is published of it. */
export interface DeclarationCaches {
  readonly clusters: Informer<TalosCluster>;
  readonly profiles: Informer<RBACProfile>;
  readonly policies: Informer<RBACPolicy>;
  readonly sets: Informer<PermissionSet>;
  readonly providers: Informer<IdentityProvider>;
  readonly bindings: Informer<IdentityBinding>;
  readonly snapshots: Informer<PermissionSnapshot>;
  /** Resolves when all of them have synced. */
  readonly synced: Promise<void>;
  /** Resolves when the signal has aborted and every watch is closed. */
  readonly closed: Promise<void>;
}

/** {@link DeclarationCaches}, and what content is written to. */
export interface PermissionCaches extends DeclarationCaches {
  readonly secrets: Informer<SecretObject>;
}

/** Starts the caches on the management cluster. */
export function startPermissionCaches(parts: InformerSetParts): PermissionCaches {
  const informers = new InformerSet(parts);
  const declarations = declarationCaches(informers);
  return {
    ...declarations,
    secrets: informers.start(Secret, { labelSelector: `${LABELS.snapshotType}=${SIGNED_SNAPSHOT}` }),
    synced: informers.synced,
    closed: informers.closed,
  };
}

/** Starts the caches of somebody who computes and signs nothing. */
export function startDeclarationCaches(parts: InformerSetParts): DeclarationCaches {
  const informers = new InformerSet(parts);
  return { ...declarationCaches(informers), synced: informers.synced, closed: informers.closed };
}

function declarationCaches(informers: InformerSet): Omit<DeclarationCaches, "synced" | "closed"> {
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
  };
}

/** The caches that the engine is fed from. */
export function engineInformers(caches: DeclarationCaches): RunningEngineParts["informers"] {
  return {
    TalosCluster: caches.clusters,
    PermissionSet: caches.sets,
    RBACPolicy: caches.policies,
    RBACProfile: caches.profiles,
    IdentityProvider: caches.providers,
    IdentityBinding: caches.bindings,
  };
}
