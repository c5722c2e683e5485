import { create } from "@bufbuild/protobuf";
import {
  RejectedSnapshotSchema,
  SurfaceDifferenceSchema,
} from "../../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import {
  PermissionSnapshotReceipt,
  type PermissionSnapshotReceiptStatus,
} from "../../../../api/kinds/permission-snapshot-receipt.ts";
import { FIELD_MANAGERS, NAMESPACES, snapshotReceiptName } from "../../../../api/names.ts";
import { rfc3339Seconds } from "../../../../base/clock.ts";
import { ifPresent } from "../../../../cluster/if-present.ts";
import { applyStatus } from "../../../../controller/status.ts";
import { type SnapshotPosition, comparePositions } from "../../../../permissions/snapshot/snapshot-version.ts";
import type { SnapshotStore } from "../../../../permissions/store/snapshot-store.ts";
import type { SnapshotParts } from "./snapshot-parts.ts";

type SyncStatus = NonNullable<PermissionSnapshotReceiptStatus["syncStatus"]>;

/** What the store's state means for the receipt (permissions §2.5, R-4.52). */
function syncStatusOf({ store }: SnapshotParts): SyncStatus {
  if (store.state().degraded) return "DegradedSecurityState";
  return store.current === undefined ? "OutOfSync" : "InSync";
}

/**
 * Writes `PermissionSnapshotReceipt/receipt-{cluster}` in `ont-system` from the state of the store, then reports it to the hub. The
 * report rests on the receipt: it is in the outbox only after the receipt is durable.
 */
export async function acknowledge(parts: SnapshotParts): Promise<void> {
  const receipt = await writeReceipt(parts);
  const { store } = parts;
  const { current } = store;
  const { degraded, lastRejection } = store.state();
  const { report, provisioning } = parts.surface;
  const furthest = furthestAccepted(store);
  await parts.facts.snapshotReceipt({
    snapshotVersion: current?.statement.version ?? "",
    epoch: BigInt(furthest.epoch),
    sequence: BigInt(furthest.sequence),
    contentHash: furthest.contentHash,
    keyFingerprint: current?.keyId ?? "",
    syncStatus: syncStatusOf(parts),
    degradedReason: degraded ? (lastRejection?.code ?? "") : "",
    acknowledgedUnixMs: BigInt(Date.parse(receipt.spec.acknowledgedAt ?? "") || 0),
    lastVerifiedUnixMs: BigInt(Math.round(current?.verifiedAtMs ?? 0)),
    surfaceHash: report?.surfaceHash ?? "",
    excess: (report?.excess ?? []).map((difference) => create(SurfaceDifferenceSchema, difference)),
    excessTotal: report?.excessTotal ?? 0,
    missing: (report?.missing ?? []).map((difference) => create(SurfaceDifferenceSchema, difference)),
    missingTotal: report?.missingTotal ?? 0,
    provisioningStatus: provisioning,
    ...(lastRejection !== undefined && {
      lastRejected: create(RejectedSnapshotSchema, {
        version: lastRejection.version,
        reasonCode: lastRejection.code,
        atUnixMs: BigInt(Math.round(lastRejection.atMs)),
      }),
    }),
  });
}

/**
 * The position below which this tenant takes nothing any more. That of the active snapshot, except after a crash between floor and file, or
 * while nothing is active: a hub that came back from an older state must hear of it all the same.
 */
function furthestAccepted({ current, floor }: SnapshotStore): SnapshotPosition & { readonly contentHash: string } {
  const { accepted } = floor;
  const active = current?.statement ?? { epoch: 0, sequence: 0, contentHash: "" };
  return accepted !== undefined && comparePositions(accepted, active) > 0
    ? { epoch: accepted.epoch, sequence: accepted.sequence, contentHash: accepted.digest }
    : active;
}

async function writeReceipt(parts: SnapshotParts): Promise<PermissionSnapshotReceipt> {
  const { cluster, clusterId, store, clock } = parts;
  const key = { namespace: NAMESPACES.ont, name: snapshotReceiptName(clusterId) };
  const held = await existing(parts);
  const statement = store.current?.statement;
  let receipt = held;
  if (receipt === undefined || receipt.spec.snapshotVersion !== statement?.version) {
    // While nothing is held the receipt keeps what was acknowledged last; its status says how things stand.
    const acknowledged =
      statement === undefined
        ? held?.spec
        : {
            snapshotVersion: statement.version,
            acknowledgedAt: rfc3339Seconds(clock.now()),
            contentHash: statement.contentHash,
            keyFingerprint: store.current?.keyId ?? "",
            epoch: statement.epoch,
            sequence: statement.sequence,
          };
    receipt = await cluster.patch(
      PermissionSnapshotReceipt,
      key,
      {
        type: "apply",
        body: {
          apiVersion: "guardian.ontai.dev/v1alpha1",
          kind: "PermissionSnapshotReceipt",
          metadata: key,
          spec: { ...acknowledged, clusterName: clusterId },
        },
      },
      { fieldManager: FIELD_MANAGERS.agent, force: true },
    );
  }
  const { degraded, lastRejection } = store.state();
  const { current } = store;
  const fields: PermissionSnapshotReceiptStatus = {
    syncStatus: syncStatusOf(parts),
    degradedSecurityState: degraded,
    ...(degraded && { degradedReason: lastRejection?.code ?? "" }),
    ...(current !== undefined && { lastVerifiedAt: rfc3339Seconds(current.verifiedAtMs) }),
    ...(lastRejection !== undefined && {
      lastRejected: {
        version: lastRejection.version,
        reasonCode: lastRejection.code,
        at: rfc3339Seconds(lastRejection.atMs),
      },
    }),
  };
  return applyStatus(parts, PermissionSnapshotReceipt, receipt, { fields }, FIELD_MANAGERS.agent);
}

async function existing({ cluster, clusterId }: SnapshotParts): Promise<PermissionSnapshotReceipt | undefined> {
  const key = { namespace: NAMESPACES.ont, name: snapshotReceiptName(clusterId) };
  return ifPresent(cluster.get(PermissionSnapshotReceipt, key));
}
