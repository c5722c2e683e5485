import { create } from "@bufbuild/protobuf";
import { ItemReport_Level as Level } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { type Receipt, ReceiptSchema } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import type { PackReceipt } from "../../api/kinds/pack-receipt.ts";
import { ANNOTATIONS, clusterOfNamespace } from "../../api/names.ts";
import { member, timestamp } from "../fleet/wire-timestamp.ts";

const LEVELS = {
  Received: Level.RECEIVED,
  Verified: Level.VERIFIED,
  Applied: Level.APPLIED,
  Healthy: Level.HEALTHY,
} as const;

/** One mirror as ReceiptService shows it. */
export function receiptRow(mirror: PackReceipt): Receipt {
  const { metadata, spec, status } = mirror;
  const level = status?.delivery?.level;
  return create(ReceiptSchema, {
    cluster: clusterOfNamespace(metadata.namespace) ?? "",
    name: metadata.name,
    pack: spec.clusterPackRef,
    version: spec.version ?? "",
    serial: BigInt(spec.serial ?? 0),
    level: level === undefined ? Level.UNSPECIFIED : LEVELS[level],
    acknowledged: status?.acknowledged ?? false,
    verificationFailedReason: status?.verificationFailedReason ?? "",
    driftStatus: status?.driftStatus ?? "",
    driftSummary: status?.driftSummary ?? "",
    resources: spec.deployedResources?.length ?? 0,
    manifestDigest: spec.manifestDigest ?? "",
    revision: metadata.resourceVersion ?? "",
    ...member("verified", status?.verified),
    ...member("lastDriftCheckAt", timestamp(status?.lastDriftCheckAt)),
    ...member("mirroredAt", timestamp(mirroredAtMs(mirror))),
  });
}

/** When the hub wrote the mirror last: its annotation is set with the spec only, status writes are dated by the API server. */
function mirroredAtMs({ metadata }: PackReceipt): number | undefined {
  const times = [
    metadata.annotations?.[ANNOTATIONS.mirroredAt],
    ...(metadata.managedFields ?? []).map(({ time }) => time),
  ]
    .map((time) => (time === undefined ? Number.NaN : Date.parse(time)))
    .filter(Number.isFinite);
  return times.length === 0 ? undefined : Math.max(...times);
}
