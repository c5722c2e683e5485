import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { NAMESPACES, snapshotName, tenantNamespace } from "../../api/names.ts";
import type { RevocationOrder } from "../../federation/hub/revocations/revocation-record.ts";
import { BY_CLUSTER, type FleetSources } from "../fleet/fleet-sources.ts";

/** What an operator asks to revoke. */
export interface RevocationWish {
  readonly revocationId: string;
  /** `Pack`, `PermissionSnapshot` or `Cluster`. */
  readonly target: string;
  readonly name: string;
  /** Empty: every cluster it concerns. */
  readonly clusters: readonly string[];
  readonly reason: string;
  /** User of the operator's certificate. */
  readonly orderedBy: string;
}

/**
 * Works out what to revoke on which cluster. Floors lie just above what is in force now, so that the very next signed version is
 * accepted again.
 *
 * @throws GrpcStatusError INVALID_ARGUMENT, NOT_FOUND
 */
export function revocationOrders(sources: FleetSources, wish: RevocationWish): ReadonlyMap<string, RevocationOrder> {
  if (wish.reason.trim() === "") throw invalid("reason", "a reason for the people who will read it", "add --reason");
  const known = sources.directory.clusters();
  const unknown = wish.clusters.filter((cluster) => !known.includes(cluster));
  if (unknown.length > 0) throw notFound(`clusters ${unknown.join(", ")}`, "clusters with role tenant");
  const addressed = wish.clusters.length > 0 ? wish.clusters : known;
  switch (wish.target) {
    case "Pack":
      return packOrders(sources, wish, addressed);
    case "PermissionSnapshot":
      return snapshotOrders(sources, wish, addressed);
    case "Cluster":
      if (!known.includes(wish.name)) throw notFound(`cluster ${wish.name}`, "a cluster with role tenant");
      return new Map([[wish.name, order(wish, "Cluster", wish.name, tenantNamespace(wish.name), 0)]]);
    default:
      throw invalid("target", `Pack, PermissionSnapshot or Cluster, found ${JSON.stringify(wish.target)}`, "");
  }
}

function packOrders(
  sources: FleetSources,
  wish: RevocationWish,
  clusters: readonly string[],
): ReadonlyMap<string, RevocationOrder> {
  const orders = new Map<string, RevocationOrder>();
  for (const cluster of clusters) {
    const installed = sources.installed
      .byIndex(BY_CLUSTER, cluster)
      .find(({ metadata, spec }) => spec.clusterPackRef === wish.name || metadata.name === `${wish.name}-${cluster}`);
    if (installed === undefined) continue;
    const floor = (installed.status?.serial ?? 0) + 1;
    orders.set(cluster, order(wish, "PackInstalled", installed.metadata.name, tenantNamespace(cluster), floor));
  }
  if (orders.size === 0) throw notFound(`pack ${wish.name}`, "a pack that is installed on an addressed cluster");
  return orders;
}

function snapshotOrders(
  sources: FleetSources,
  wish: RevocationWish,
  clusters: readonly string[],
): ReadonlyMap<string, RevocationOrder> {
  const orders = new Map<string, RevocationOrder>();
  for (const cluster of clusters) {
    if (wish.name !== "" && wish.name !== cluster && wish.name !== snapshotName(cluster)) continue;
    const snapshot = sources.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(cluster) });
    if (snapshot === undefined) continue;
    const floor = (snapshot.spec.sequence ?? 0) + 1;
    orders.set(cluster, order(wish, "PermissionSnapshot", snapshotName(cluster), NAMESPACES.seam, floor));
  }
  if (orders.size === 0) throw notFound(`permission snapshot ${wish.name}`, "a snapshot of an addressed cluster");
  return orders;
}

function order(
  wish: RevocationWish,
  target: RevocationOrder["target"],
  name: string,
  namespace: string,
  floor: number,
): RevocationOrder {
  const { revocationId, reason, orderedBy } = wish;
  return { revocationId, target, name, namespace, reason, floor, orderedBy, orderedName: wish.name };
}

function invalid(field: string, expected: string, remedy: string): GrpcStatusError {
  const parts = { reason: "RevocationInvalid", object: "RevokeRequest", field, expected };
  return new GrpcStatusError(Status.INVALID_ARGUMENT, remedy === "" ? parts : { ...parts, remedy });
}

function notFound(object: string, expected: string): GrpcStatusError {
  return new GrpcStatusError(Status.NOT_FOUND, { reason: "RevocationTargetNotFound", object, expected });
}
