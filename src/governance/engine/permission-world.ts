import type { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import type { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { atOnce } from "../../base/next-turn.ts";
import { PermissionEngine } from "./permission-engine.ts";
import type { PermissionObject } from "./permission-object.ts";

/** Everything that permissions are computed from, at one moment. */
export interface PermissionWorld {
  readonly clusters: readonly TalosCluster[];
  readonly profiles: readonly RBACProfile[];
  readonly policies: readonly RBACPolicy[];
  readonly sets: readonly PermissionSet[];
  readonly providers: readonly IdentityProvider[];
  readonly bindings: readonly IdentityBinding[];
  readonly managementCluster: string;
}

/** All of its objects. */
export function objectsOf(world: PermissionWorld): readonly PermissionObject[] {
  return [world.clusters, world.sets, world.policies, world.providers, world.profiles, world.bindings].flat();
}

/** An engine that stands where a world takes it. */
export function engineOf(world: PermissionWorld): PermissionEngine {
  const engine = new PermissionEngine({ managementCluster: world.managementCluster });
  for (const object of objectsOf(world)) engine.apply({ type: "put", object });
  atOnce(engine.settle());
  return engine;
}
