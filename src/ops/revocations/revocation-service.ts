import { ConfigMap } from "../../api/builtin.ts";
import {
  type RevokeRequest,
  type Revocation,
  RevocationService,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { type GrpcService, implementService } from "../../api/grpc/service-implementation.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import { CONTROLS, FIELD_MANAGERS, NAMESPACES } from "../../api/names.ts";
import type { Clock } from "../../base/clock.ts";
import { uuidV7 } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import { retryConflicts } from "../../federation/hub/mirror/retry-conflicts.ts";
import type { RevocationOrder } from "../../federation/hub/revocations/revocation-record.ts";
import type { RunningRevocationOutbox } from "../../federation/hub/revocations/revocation-outbox.ts";
import {
  DENIED_CLUSTERS,
  DENIED_SERIALS,
  DENY_LIST_NAME,
  withDenied,
} from "../../federation/hub/tenant-directory/deny-list.ts";
import { normalizeSerial } from "../../trust/identity/certificate-serial.ts";
import { BY_CLUSTER, type FleetSources } from "../fleet/fleet-sources.ts";
import { certificateRemark } from "./certificate-remark.ts";
import { type RevocationWish, invalid, revocationOrders } from "./revocation-order.ts";
import type { RevocationQueries } from "./revocation-queries.ts";
import { certificateRow } from "./revocation-row.ts";

/** Shape of a caller's revocation id. */
const REVOCATION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** Shape of a serial number: X.509 allows 20 octets. */
const SERIAL = /^[0-9A-F]{1,40}$/;
/** Ledgers written at a time: one per addressed cluster. */
const CONCURRENT_WRITES = 32;

/** What revoking needs. */
export interface RevocationServiceParts {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly sources: FleetSources;
  readonly outbox: RunningRevocationOutbox;
  readonly queries: RevocationQueries;
  readonly clock: Clock;
  readonly random: Random;
}

/** RevocationService on 9444. */
export function revocationService(parts: RevocationServiceParts): GrpcService {
  const { queries } = parts;
  return implementService(RevocationService, {
    revoke: async (request, { principal }) => ({
      revocation: await revoke(parts, queries, request, principal?.name ?? ""),
    }),
    getRevocation: ({ revocationId }) => ({ revocation: queries.get(revocationId) }),
    listRevocations: ({ incompleteOnly }) => ({
      revocations: queries.list().filter(({ complete }) => !incompleteOnly || !complete),
    }),
    watchRevocations: ({ revocationId }, { signal }) => queries.watch(revocationId, signal),
  });
}

/** Durable on every addressed cluster when it resolves. Asked again with its id it goes on where a crash interrupted it. */
async function revoke(
  parts: RevocationServiceParts,
  queries: RevocationQueries,
  request: RevokeRequest,
  orderedBy: string,
): Promise<Revocation> {
  const revocationId = request.revocationId === "" ? uuidV7(parts.clock, parts.random) : request.revocationId;
  if (!REVOCATION_ID.test(revocationId))
    throw invalid("revocation_id", "at most 128 letters, digits, dots, hyphens and underscores", "");
  const { target, name, clusters, reason } = request;
  const wish: RevocationWish = { revocationId, target, name, clusters, reason, orderedBy };
  const held = queries.find(revocationId);
  if (held !== undefined && (held.target !== target || held.name !== storedName(wish)))
    throw new GrpcStatusError(Status.ALREADY_EXISTS, {
      reason: "RevocationIdTaken",
      object: `revocation ${JSON.stringify(revocationId)}`,
      expected: `an id of its own: this one revokes ${held.target} ${held.name}`,
      remedy: "leave the id out, and the hub chooses one",
    });
  if (target === "Certificate") return held ?? revokeCertificate(parts, queries, wish);
  let orders: ReadonlyMap<string, RevocationOrder>;
  try {
    orders = revocationOrders(parts.sources, wish, parts.clock.now());
  } catch (error) {
    // What it named may be gone since it was ordered first.
    if (held !== undefined && error instanceof GrpcStatusError && error.code === Status.NOT_FOUND) return held;
    throw error;
  }
  const writes = new Semaphore(CONCURRENT_WRITES);
  await Promise.all([...orders].map(([cluster, order]) => writes.run(() => parts.outbox.add(cluster, order))));
  // The order first: an agent that is connected drops what it holds before its stream is cut.
  if (target === "Cluster") await deny(parts, DENIED_CLUSTERS, name, `${revocationId}: ${reason}`);
  if (target === "Pack" && clusters.length === 0) await markDeliveries(parts, wish, [...orders.keys()]);
  return queries.get(revocationId);
}

function storedName({ target, name }: RevocationWish): string {
  return target === "Certificate" ? normalizeSerial(name) : name;
}

async function revokeCertificate(
  parts: RevocationServiceParts,
  queries: RevocationQueries,
  wish: RevocationWish,
): Promise<Revocation> {
  const serial = storedName(wish);
  if (!SERIAL.test(serial))
    throw invalid("name", `the serial number of a certificate, hexadecimal, found ${JSON.stringify(wish.name)}`, "");
  if (wish.reason.trim() === "") throw invalid("reason", "a reason for the people who will read it", "add --reason");
  const before = queries.list().find((other) => other.target === "Certificate" && other.name === serial);
  if (before !== undefined) return before;
  const { revocationId, reason, orderedBy } = wish;
  const said = { revocationId, reason: reason.replaceAll(/\s+/g, " "), orderedBy, atMs: parts.clock.now() };
  await deny(parts, DENIED_SERIALS, serial, certificateRemark(said));
  return certificateRow({ ...said, serial });
}

/** A pack that is revoked everywhere is not delivered any more either (R-4.50; dispatcher §9.4). */
async function markDeliveries(
  parts: RevocationServiceParts,
  { revocationId, name, reason }: RevocationWish,
  clusters: readonly string[],
): Promise<void> {
  const deliveries = new Map<string, { readonly namespace: string; readonly name: string }>();
  for (const cluster of clusters)
    for (const { metadata, spec } of parts.sources.installed.byIndex(BY_CLUSTER, cluster)) {
      if (spec.clusterPackRef !== name && metadata.name !== `${name}-${cluster}`) continue;
      const key = { namespace: spec.clusterPackNamespace ?? NAMESPACES.seam, name: spec.clusterPackRef };
      deliveries.set(`${key.namespace}/${key.name}`, key);
    }
  for (const key of deliveries.values()) {
    const body = { metadata: { annotations: { [CONTROLS.revoke]: `${revocationId}: ${reason}` } } };
    try {
      await parts.cluster.patch(PackDelivery, key, { type: "merge", body }, { fieldManager: FIELD_MANAGERS.hub });
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error; // deleted meanwhile: nothing delivers it
    }
  }
}

async function deny(
  parts: RevocationServiceParts,
  list: typeof DENIED_CLUSTERS | typeof DENIED_SERIALS,
  entry: string,
  remark: string,
): Promise<void> {
  const { cluster } = parts;
  const key = { namespace: NAMESPACES.ont, name: DENY_LIST_NAME };
  await retryConflicts(parts, async () => {
    const held = await ifPresent(cluster.get(ConfigMap, key));
    const text = withDenied(held?.data?.[list], entry, remark);
    const data = { ...held?.data, [list]: text };
    if (held === undefined)
      await cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: key, data });
    else if (text !== held.data?.[list]) await cluster.update(ConfigMap, { ...held, data });
  });
}
