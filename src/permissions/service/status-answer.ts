import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AuditLogStatus_State,
  type AuditLogStatusSchema,
  type GetStatusResponseSchema,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { SnapshotReader } from "../store/snapshot-reader.ts";
import type { AnswerMeta } from "./answer-meta.ts";

/** How the log stands that decisions are recorded in. */
export interface DecisionLogState {
  readonly state: "OPEN" | "NEAR_FULL" | "FULL" | "UNAVAILABLE";
  /** Why, for people; empty while open. */
  readonly detail: string;
  /** Events that wait in memory. */
  readonly waiting: number;
  /** Events that found no place since the process started. */
  readonly missed: number;
  /** Where an unreadable part of the log was put; empty when there is none. */
  readonly corrupt: string;
}

/** Which replica answers (conductor §6.4). */
export interface ReplicaState {
  readonly name: string;
  readonly leads: boolean;
  /** Empty while nobody leads. */
  readonly leader: string;
}

/** What a service can say of the process around it; absent parts are not told. */
export interface ServiceFacts {
  readonly auditLog?: () => DecisionLogState | undefined;
  readonly replica?: () => ReplicaState | undefined;
}

/** Answer to GetStatus. */
export function statusAnswer(
  store: SnapshotReader,
  meta: AnswerMeta,
  facts: ServiceFacts,
): MessageInitShape<typeof GetStatusResponseSchema> {
  const state = store.state();
  const { current, floor } = store;
  const rejection = state.lastRejection;
  const auditLog = facts.auditLog?.();
  const replica = facts.replica?.();
  return {
    cluster: store.cluster,
    meta,
    degraded: state.degraded,
    degradedReason: state.degraded ? (rejection?.code ?? "") : "",
    ...(rejection !== undefined && {
      lastRejection: {
        version: rejection.version,
        code: rejection.code,
        detail: rejection.detail,
        at: timestampFromMs(rejection.atMs),
      },
    }),
    minSequence: BigInt(floor.minimumSequence),
    highestEpoch: BigInt(floor.accepted?.epoch ?? 0),
    highestSequence: BigInt(floor.accepted?.sequence ?? 0),
    trustedKeys: [...store.trustedKeys],
    ...(current !== undefined && {
      freshnessWindowSeconds: current.index.content.freshnessWindowSeconds,
      maxOfflineSeconds: BigInt(current.index.content.maxOfflineSeconds),
      index: { ...current.index.sizes, tableBytes: BigInt(current.index.sizes.tableBytes) },
      signingKey: current.keyId ?? "",
    }),
    ...(current?.statement.expiresAtMs !== undefined && {
      expiresAt: timestampFromMs(current.statement.expiresAtMs),
    }),
    ...(current?.verifiedAtMs !== undefined && { lastVerifiedAt: timestampFromMs(current.verifiedAtMs) }),
    ...(auditLog !== undefined && { auditLog: auditLogMessage(auditLog) }),
    ...(replica !== undefined && { replica: { ...replica } }),
  };
}

function auditLogMessage(log: DecisionLogState): MessageInitShape<typeof AuditLogStatusSchema> {
  const { state, detail, waiting, missed, corrupt } = log;
  return { state: AuditLogStatus_State[state], detail, waiting: BigInt(waiting), missed: BigInt(missed), corrupt };
}
