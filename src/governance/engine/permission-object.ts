import { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { type KubeObject, keyText } from "../../api/object.ts";
import { type ResourceType, apiVersionOf } from "../../api/resource-type.ts";

/** Objects that permissions are computed from. */
export type PermissionObject =
  | PermissionSet
  | RBACPolicy
  | RBACProfile
  | IdentityProvider
  | IdentityBinding
  | TalosCluster;

/** Their kinds, in the order in which they rest on each other. */
export const PERMISSION_KINDS: readonly ResourceType<PermissionObject>[] = [
  TalosCluster,
  PermissionSet,
  RBACPolicy,
  IdentityProvider,
  RBACProfile,
  IdentityBinding,
];

/** One step of a change: an object is there or is another, or there is none of that name any more. */
export type PermissionChange =
  | { readonly type: "put"; readonly object: PermissionObject }
  | {
      readonly type: "remove";
      readonly kind: PermissionObject["kind"];
      readonly namespace: string;
      readonly name: string;
    };

/** `Kind namespace/name`. */
export function objectName({ kind, metadata }: KubeObject): string {
  return `${kind} ${keyText({ namespace: metadata.namespace ?? "", name: metadata.name })}`;
}

/** True for an object of a kind that permissions are computed from. */
export function isPermissionObject(object: KubeObject): object is PermissionObject {
  return PERMISSION_KINDS.some((type) => type.kind === object.kind && apiVersionOf(type) === object.apiVersion);
}
