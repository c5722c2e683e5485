import type { Message } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  BatchCheckPermissionRequestSchema,
  BatchCheckPermissionResponseSchema,
  CheckPermissionRequestSchema,
  CheckPermissionResponseSchema,
  PermissionService,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { directDecoder } from "../../api/grpc/direct-decoder.ts";
import { directEncoder } from "../../api/grpc/direct-encoder.ts";
import { type GrpcService, type ServiceHandlers, implementService } from "../../api/grpc/service-implementation.ts";
import { ulid } from "../../base/ids.ts";
import { decisionHandlers } from "./decision-handlers.ts";
import { listHandlers } from "./list-handlers.ts";
import { QuestionGate, type QuestionParts } from "./question-gate.ts";
import { requireReviewed } from "./unreviewed-caller.ts";
import { watchSnapshot } from "./watch-snapshot.ts";

/** Its methods, whichever way they are called: gRPC, Connect, or the HTTP forms over them. */
export type PermissionMethods = ServiceHandlers<typeof PermissionService>;

/** The service on gRPC. Decisions, which are asked all day, are read and written directly. */
export function permissionService(methods: PermissionMethods): GrpcService {
  const encoders = new Map([
    ["checkPermission", directEncoder(CheckPermissionResponseSchema)],
    ["batchCheckPermission", directEncoder(BatchCheckPermissionResponseSchema)],
  ]);
  const decoders = new Map<string, (bytes: Uint8Array) => Message>([
    ["checkPermission", directDecoder(CheckPermissionRequestSchema)],
    ["batchCheckPermission", directDecoder(BatchCheckPermissionRequestSchema)],
  ]);
  return implementService(PermissionService, methods, { encoders, decoders, json: true });
}

/** The service over a snapshot store (permissions §11). Questions never fail for want of a snapshot: they answer with a code. */
export function permissionMethods(parts: QuestionParts): PermissionMethods {
  const { store, clock, random } = parts;
  const questions = new QuestionGate(parts);
  return {
    ...decisionHandlers(questions),
    ...listHandlers(questions),
    watchSnapshot(message, context) {
      requireReviewed(context.principal);
      return watchSnapshot(message, context, parts);
    },
    getStatus(_, context) {
      requireReviewed(context.principal);
      const state = store.state();
      const { current, floor } = store;
      const rejection = state.lastRejection;
      return {
        cluster: store.cluster,
        meta: questions.metas.of(current, state, ulid(clock, random)),
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
          expiresAt: timestampFromMs(current.statement.expiresAtMs),
          lastVerifiedAt: timestampFromMs(current.verifiedAtMs),
          index: { ...current.index.sizes, tableBytes: BigInt(current.index.sizes.tableBytes) },
          signingKey: current.keyId,
        }),
      };
    },
  };
}
