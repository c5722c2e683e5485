import { NAMESPACES } from "../../api/names.ts";
import type { KubeObject, Unstructured } from "../../api/object.ts";
import { ApiStatusError } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import {
  PERMISSION_KINDS,
  type PermissionObject,
  type PermissionChange,
  isPermissionObject,
} from "../../governance/engine/permission-object.ts";
import { UsageError } from "./context.ts";
import type { ObjectInFile } from "./object-files.ts";

/** A proposal as an API server would store it. */
export interface Proposal {
  readonly changes: readonly PermissionChange[];
  /** Objects that the server would not store, in its words. */
  readonly refused: readonly { readonly object: string; readonly at: string; readonly message: string }[];
  /** Objects of kinds that grant nothing, as `Kind name (file:line)`. */
  readonly ignored: readonly string[];
}

/** Shows every object to the API server without writing it: schema, defaults and CEL rules are the server's own. */
export async function readProposal(cluster: Cluster, files: readonly ObjectInFile[]): Promise<Proposal> {
  const changes: PermissionChange[] = [];
  const refused: { object: string; at: string; message: string }[] = [];
  const ignored: string[] = [];
  for (const { object, at } of files) {
    if (!isPermissionObject(object)) {
      ignored.push(`${object.kind} ${object.metadata.name} (${at})`);
      continue;
    }
    try {
      changes.push({ type: "put", object: await asStored(cluster, object) });
    } catch (error) {
      if (!(error instanceof ApiStatusError)) throw error;
      const { kind, metadata } = object;
      refused.push({ object: `${kind} ${metadata.namespace ?? ""}/${metadata.name}`, at, message: error.message });
    }
  }
  return { changes, refused, ignored };
}

async function asStored(cluster: Cluster, object: PermissionObject): Promise<PermissionObject> {
  const type = PERMISSION_KINDS.find(({ kind }) => kind === object.kind);
  if (type === undefined) throw new Error(`kind ${object.kind} is none of permissions`);
  const { name, namespace = NAMESPACES.seam } = object.metadata;
  const held = await existing(cluster, type, { namespace, name });
  const options = { dryRun: true, fieldValidation: "Strict" as const };
  if (held === undefined)
    return cluster.create(type, { ...object, metadata: { ...object.metadata, namespace } }, options);
  // What a file does not say of labels and annotations stays, as with kubectl apply.
  const metadata = {
    ...held.metadata,
    labels: { ...held.metadata.labels, ...object.metadata.labels },
    annotations: { ...held.metadata.annotations, ...object.metadata.annotations },
  };
  return cluster.update(type, { ...object, metadata }, options);
}

async function existing(
  cluster: Cluster,
  type: (typeof PERMISSION_KINDS)[number],
  key: { readonly namespace: string; readonly name: string },
): Promise<PermissionObject | undefined> {
  return ifPresent(cluster.get(type, key));
}

/** `Kind namespace/name` as people write it on the command line: `RBACProfile/seam-system/hello`. @throws UsageError */
export function parseRemoval(text: string): PermissionChange {
  const [kind = "", namespace = "", name = "", ...rest] = text.split("/");
  const known = PERMISSION_KINDS.find((type) => type.kind.toLowerCase() === kind.toLowerCase());
  if (known === undefined || namespace === "" || name === "" || rest.length > 0)
    throw new UsageError(
      `--delete must be KIND/NAMESPACE/NAME with one of ${PERMISSION_KINDS.map((type) => type.kind).join(", ")}, found ${JSON.stringify(text)}`,
    );
  return { type: "remove", kind: known.kind as PermissionObject["kind"], namespace, name };
}

/** Namespaces that objects stand in. */
export function namespacesOf(objects: readonly (KubeObject | Unstructured)[]): readonly string[] {
  return objects.map(({ metadata }) => metadata.namespace ?? NAMESPACES.seam);
}
