import { ConfigMap } from "../../api/builtin.ts";
import {
  type RevokeRequest,
  type Revocation,
  RevocationService,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { type GrpcService, implementService } from "../../api/grpc/service-implementation.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { NAMESPACES } from "../../api/names.ts";
import type { Clock } from "../../base/clock.ts";
import { uuidV7 } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { retryConflicts } from "../../federation/hub/mirror/retry-conflicts.ts";
import { ifPresent } from "../../federation/hub/mirror/storing.ts";
import type { RunningRevocationOutbox } from "../../federation/hub/revocations/revocation-outbox.ts";
import { DENIED_CLUSTERS, DENY_LIST_NAME, withDenied } from "../../federation/hub/tenant-directory/deny-list.ts";
import type { FleetSources } from "../fleet/fleet-sources.ts";
import { revocationOrders } from "./revocation-order.ts";
import { isComplete, revocationRows } from "./revocation-row.ts";

/** Shape of a caller's revocation id. */
const REVOCATION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** What revoking needs. */
export interface RevocationServiceParts {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly sources: FleetSources;
  readonly outbox: RunningRevocationOutbox;
  readonly clock: Clock;
  readonly random: Random;
}

/** RevocationService on 9444. */
export function revocationService(parts: RevocationServiceParts): GrpcService {
  return implementService(RevocationService, {
    revoke: async (request, { principal }) => ({ revocation: await revoke(parts, request, principal?.name ?? "") }),
    getRevocation: ({ revocationId }) => ({ revocation: find(parts, revocationId) }),
    listRevocations: ({ incompleteOnly }) => ({
      revocations: all(parts).filter((revocation) => !incompleteOnly || !isComplete(revocation)),
    }),
  });
}

async function revoke(parts: RevocationServiceParts, request: RevokeRequest, orderedBy: string): Promise<Revocation> {
  const revocationId = request.revocationId === "" ? uuidV7(parts.clock, parts.random) : request.revocationId;
  if (!REVOCATION_ID.test(revocationId))
    throw new GrpcStatusError(Status.INVALID_ARGUMENT, {
      reason: "RevocationInvalid",
      object: "RevokeRequest",
      field: "revocation_id",
      expected: "at most 128 letters, digits, dots, hyphens and underscores",
    });
  const held = all(parts).find((revocation) => revocation.revocationId === revocationId);
  if (held !== undefined) return held;
  const orders = revocationOrders(parts.sources, { ...request, revocationId, orderedBy });
  for (const [cluster, order] of orders) {
    // Cut off first: the deny list acts on live streams, the record tells how it came about.
    if (order.target === "Cluster") await deny(parts, cluster, `${revocationId}: ${order.reason}`);
    await parts.outbox.add(cluster, order);
  }
  return find(parts, revocationId);
}

function all({ sources, outbox }: RevocationServiceParts): readonly Revocation[] {
  return revocationRows(sources, outbox.records());
}

function find(parts: RevocationServiceParts, revocationId: string): Revocation {
  const found = all(parts).find((revocation) => revocation.revocationId === revocationId);
  if (found !== undefined) return found;
  throw new GrpcStatusError(Status.NOT_FOUND, {
    reason: "RevocationNotFound",
    object: `revocation ${JSON.stringify(revocationId)}`,
    expected: "an id that Revoke answered",
  });
}

async function deny(parts: RevocationServiceParts, id: string, remark: string): Promise<void> {
  const { cluster } = parts;
  const key = { namespace: NAMESPACES.ont, name: DENY_LIST_NAME };
  await retryConflicts(parts, async () => {
    const held = await ifPresent(cluster.get(ConfigMap, key));
    const text = withDenied(held?.data?.[DENIED_CLUSTERS], id, remark);
    if (held === undefined)
      await cluster.create(ConfigMap, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: key,
        data: { [DENIED_CLUSTERS]: text },
      });
    else if (text !== held.data?.[DENIED_CLUSTERS])
      await cluster.update(ConfigMap, { ...held, data: { ...held.data, [DENIED_CLUSTERS]: text } });
  });
}
