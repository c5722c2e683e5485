import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { NAMESPACES, snapshotName, tenantNamespace } from "../../api/names.ts";
import type { RevocationOrder } from "../../federation/hub/revocations/revocation-record.ts";
import { revocationBound } from "../../federation/hub/revocations/revocation-bound.ts";
import type { RevocationTarget } from "../../federation/revocation/revocation-body.ts";
import { BY_CLUSTER, type FleetSources } from "../fleet/fleet-sources.ts";
import { maxOfflineMs } from "./revocation-row.ts";

/** What an operator asks to revoke. */
export interface RevocationWish {
  readonly revocationId: string;
  /** `Pack`, `PermissionSnapshot`, `Cluster` or `Certificate`. */
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
export function revocationOrders(
  sources: FleetSources,
  wish: RevocationWish,
  nowMs: number,
): ReadonlyMap<string, RevocationOrder> {
  if (wish.reason.trim() === "") throw invalid("reason", "a reason for the people who will read it", "add --reason");
  const known = sources.directory.clusters();
  const unknown = wish.clusters.filter((cluster) => !known.includes(cluster));
  if (unknown.length > 0) throw notFound(`clusters ${unknown.join(", ")}`, "clusters with role tenant");
  const addressed = wish.clusters.length > 0 ? wish.clusters : known;
  switch (wish.target) {
    case "Pack":
      return packOrders(sources, wish, addressed, nowMs);
    case "PermissionSnapshot":
      return snapshotOrders(sources, wish, addressed, nowMs);
    case "Cluster":
      if (!known.includes(wish.name)) throw notFound(`cluster ${wish.name}`, "a cluster with role tenant");
      return new Map([[wish.name, clusterOrder(sources, wish, nowMs)]]);
    default: {
      const expected = `Pack, PermissionSnapshot, Cluster or Certificate, found ${JSON.stringify(wish.target)}`;
      throw invalid("target", expected, "");
    }
  }
}

function packOrders(
  sources: FleetSources,
  wish: RevocationWish,
  clusters: readonly string[],
  nowMs: number,
): ReadonlyMap<string, RevocationOrder> {
  const orders = new Map<string, RevocationOrder>();
  for (const cluster of clusters) {
    const installed = sources.installed
      .byIndex(BY_CLUSTER, cluster)
      .find(({ metadata, spec }) => spec.clusterPackRef === wish.name || metadata.name === `${wish.name}-${cluster}`);
    if (installed === undefined) continue;
    const floor = (installed.status?.serial ?? 0) + 1;
    const boundedAtMs = bound(sources, "PackInstalled", cluster, nowMs);
    const at = { name: installed.metadata.name, namespace: tenantNamespace(cluster) };
    orders.set(cluster, order(wish, { target: "PackInstalled", ...at, floor, boundedAtMs }));
  }
  if (orders.size === 0) throw notFound(`pack ${wish.name}`, "a pack that is installed on an addressed cluster");
  return orders;
}

function snapshotOrders(
  sources: FleetSources,
  wish: RevocationWish,
  clusters: readonly string[],
  nowMs: number,
): ReadonlyMap<string, RevocationOrder> {
  const orders = new Map<string, RevocationOrder>();
  for (const cluster of clusters) {
    if (wish.name !== "" && wish.name !== cluster && wish.name !== snapshotName(cluster)) continue;
    const floor = snapshotFloor(sources, cluster);
    if (floor === undefined) continue;
    const boundedAtMs = bound(sources, "PermissionSnapshot", cluster, nowMs);
    const at = { name: snapshotName(cluster), namespace: NAMESPACES.seam };
    orders.set(cluster, order(wish, { target: "PermissionSnapshot", ...at, floor, boundedAtMs }));
  }
  if (orders.size === 0) throw notFound(`permission snapshot ${wish.name}`, "a snapshot of an addressed cluster");
  return orders;
}

/** Everything the cluster holds of permissions goes with it; it is cut off beside. */
function clusterOrder(sources: FleetSources, wish: RevocationWish, nowMs: number): RevocationOrder {
  const cluster = wish.name;
  return order(wish, {
    target: "Cluster",
    name: cluster,
    namespace: tenantNamespace(cluster),
    floor: snapshotFloor(sources, cluster) ?? 0,
    boundedAtMs: bound(sources, "Cluster", cluster, nowMs),
  });
}

/** Just above the sequence in force; undefined while a cluster has no snapshot. */
function snapshotFloor(sources: FleetSources, cluster: string): number | undefined {
  const snapshot = sources.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(cluster) });
  return snapshot === undefined ? undefined : (snapshot.spec.sequence ?? 0) + 1;
}

function bound(sources: FleetSources, target: RevocationTarget, cluster: string, nowMs: number): number {
  const indexExpiresAt = sources.desired.current(cluster)?.document.expiresAt;
  return revocationBound(target, { indexExpiresAt, maxOfflineMs: maxOfflineMs(sources, cluster), nowMs });
}

function order(
  { revocationId, reason, orderedBy, name: orderedName }: RevocationWish,
  what: Pick<RevocationOrder, "target" | "name" | "namespace" | "floor" | "boundedAtMs">,
): RevocationOrder {
  return { revocationId, reason, orderedBy, orderedName, ...what };
}

/** @returns a refusal of the request */
export function invalid(field: string, expected: string, remedy: string): GrpcStatusError {
  const parts = { reason: "RevocationInvalid", object: "RevokeRequest", field, expected };
  return new GrpcStatusError(Status.INVALID_ARGUMENT, remedy === "" ? parts : { ...parts, remedy });
}

function notFound(object: string, expected: string): GrpcStatusError {
  return new GrpcStatusError(Status.NOT_FOUND, { reason: "RevocationTargetNotFound", object, expected });
}
