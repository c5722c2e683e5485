import type { ConfigMapObject } from "./builtin.ts";
import { tombstoneRequestName } from "./names.ts";

/** Names of tombstone requests begin so. */
export const TOMBSTONE_REQUEST_PREFIX = "seam-pack-tombstone-";

/**
 * What the dispatcher asks the signer for at the end of a removal (dispatcher §10.4): a ConfigMap in the tenant namespace. It is a
 * request only; policies and serial come from what was signed before.
 */
export interface TombstoneRequest {
  /** PackInstalled name. */
  readonly name: string;
  /** PackInstalled uid. */
  readonly uid: string;
  /** PackDelivery name. */
  readonly pack: string;
  readonly version: string;
  /** The workloads stay: the tenant only forgets the pack. A request may soften a removal, never harden it. */
  readonly orphan: boolean;
}

/** The ConfigMap of a request. */
export function tombstoneRequestConfigMap(
  namespace: string,
  request: TombstoneRequest,
  labels: Readonly<Record<string, string>>,
): ConfigMapObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace, name: tombstoneRequestName(request.name), labels },
    data: {
      name: request.name,
      uid: request.uid,
      pack: request.pack,
      version: request.version,
      orphan: String(request.orphan),
    },
  };
}

/** Reads a request; undefined when a member is missing. */
export function readTombstoneRequest(configMap: ConfigMapObject): TombstoneRequest | undefined {
  const { name, uid, pack, version, orphan } = configMap.data ?? {};
  if (!name || !uid || pack === undefined || version === undefined) return undefined;
  return { name, uid, pack, version, orphan: orphan === "true" };
}
