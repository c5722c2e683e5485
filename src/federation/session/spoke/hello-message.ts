import { create } from "@bufbuild/protobuf";
import {
  AuditPositionSchema,
  type Hello,
  HelloSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { PROTOCOL_VERSIONS } from "../limits.ts";
import type { SpokeSessionOptions } from "./session-options.ts";
import type { SpokeLanes } from "./spoke-lanes.ts";

/** The first frame of a stream: who the agent is, and where everything stands. `term`: highest it has seen. */
export function helloMessage(options: SpokeSessionOptions, lanes: SpokeLanes, term: bigint): Hello {
  const { cluster, agentVersion, instanceId, record, readBackMs, trustedKeyIds } = options;
  const { epoch, ackedThrough, firstHeld, last } = lanes.audit.cursor;
  const value = create(HelloSchema, {
    protocolVersions: [...(options.protocolVersions ?? PROTOCOL_VERSIONS)],
    agentVersion,
    clusterId: cluster,
    instanceId,
    storeId: record.storeId,
    audit: create(AuditPositionSchema, { epoch, ackedThrough, firstHeld, last }),
    highestTerm: term,
    lastRevocationSerial: lanes.revocations.serial,
    readBackUnixMs: BigInt(Math.trunc(readBackMs)),
    inventoryDigest: lanes.items.reports.inventory(lanes.holding.document, lanes.items.stamp),
    trustedKeyIds: [...trustedKeyIds],
  });
  const { position } = lanes.delivery;
  if (position !== undefined) value.heldIndex = position;
  return value;
}
