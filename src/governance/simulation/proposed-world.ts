import { canonicalJson } from "../../base/canonical-json.ts";
import type { JsonObject } from "../../base/json.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { NAMESPACES, PERMISSION_LAYERS, isClusterName, tenantNamespace } from "../../api/names.ts";
import type { KubeObject } from "../../api/object.ts";
import { apiVersionOf } from "../../api/resource-type.ts";
import { clusterLayer } from "../policies/cluster-layer.ts";
import { type PermissionChange, type PermissionObject, objectName } from "../engine/permission-object.ts";
import { type PermissionWorld, objectsOf } from "../engine/permission-world.ts";

/**
 * The world after a proposal, pure; after none, the world as it will be when everything that follows by itself has followed. By itself follow a `cluster-maximum` that follows the fleet's ceiling, and the
 * layer of a cluster that is proposed (permissions §3, §4.5).
 */
export function proposedWorld(world: PermissionWorld, changes: readonly PermissionChange[]): PermissionWorld {
  const objects = new Map<string, PermissionObject>();
  for (const object of objectsOf(world)) objects.set(objectName(object), object);
  for (const change of changes)
    if (change.type === "put") put(objects, change.object);
    else
      objects.delete(
        objectName({
          apiVersion: "",
          kind: change.kind,
          metadata: { namespace: change.namespace, name: change.name },
        }),
      );
  followLayers(objects);
  const all = [...objects.values()];
  return {
    ...world,
    clusters: all.filter((object) => object.kind === "TalosCluster"),
    sets: all.filter((object) => object.kind === "PermissionSet"),
    policies: all.filter((object) => object.kind === "RBACPolicy"),
    providers: all.filter((object) => object.kind === "IdentityProvider"),
    profiles: all.filter((object) => object.kind === "RBACProfile"),
    bindings: all.filter((object) => object.kind === "IdentityBinding"),
  };
}

/** An equal object stays the same JavaScript object, so that nothing counts as changed by being proposed. */
function put(objects: Map<string, PermissionObject>, object: PermissionObject): void {
  const name = objectName(object);
  const held = objects.get(name);
  if (held !== undefined && sameDeclaration(held, object)) return;
  const { metadata } = object;
  const generation = (held?.metadata.generation ?? 0) + 1;
  const { creationTimestamp } = held?.metadata ?? {};
  objects.set(name, {
    ...object,
    metadata: { ...metadata, generation, ...(creationTimestamp !== undefined && { creationTimestamp }) },
  } as PermissionObject);
}

/** True when two objects declare the same: specification, labels and annotations. */
export function sameDeclaration(a: KubeObject & { readonly spec: object }, b: typeof a): boolean {
  const said = ({ metadata, spec }: typeof a): string =>
    canonicalJson(plain({ spec, labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {} }));
  return said(a) === said(b);
}

function followLayers(objects: Map<string, PermissionObject>): void {
  const fleet = find(objects, "PermissionSet", NAMESPACES.seam, PERMISSION_LAYERS.fleet.maximum);
  if (fleet?.kind !== "PermissionSet") return;
  const governed = [...objects.values()].filter(
    (object): object is TalosCluster =>
      object.kind === "TalosCluster" && object.spec.role !== "management" && isClusterName(object.metadata.name),
  );
  for (const { metadata, spec } of governed) {
    const home = tenantNamespace(metadata.name);
    const maximum = find(objects, "PermissionSet", home, PERMISSION_LAYERS.cluster.maximum);
    const policy = find(objects, "RBACPolicy", home, PERMISSION_LAYERS.cluster.policy);
    const layer = clusterLayer(metadata.name, spec.role, fleet, {
      maximum: maximum?.kind === "PermissionSet" ? maximum : undefined,
      policy: policy?.kind === "RBACPolicy" ? policy : undefined,
    });
    for (const { type, namespace, name, labels, annotations, spec: wanted } of layer) {
      const held = find(objects, type.kind, namespace, name);
      if (held !== undefined && canonicalJson(plain(held.spec)) === canonicalJson(plain(wanted))) continue;
      put(objects, {
        apiVersion: apiVersionOf(type),
        kind: type.kind,
        metadata: { namespace, name, labels, ...(annotations !== undefined && { annotations }) },
        spec: wanted,
      } as PermissionObject);
    }
  }
}

function find(
  objects: ReadonlyMap<string, PermissionObject>,
  kind: string,
  namespace: string,
  name: string,
): PermissionObject | undefined {
  return objects.get(`${kind} ${namespace}/${name}`);
}

function plain(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
