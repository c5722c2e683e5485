import type { Message } from "@bufbuild/protobuf";
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
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { ulid } from "../../base/ids.ts";
import type { SnapshotReader } from "../store/snapshot-reader.ts";
import { AnswerPages } from "./answer-pages.ts";
import { decisionHandlers } from "./decision-handlers.ts";
import { listHandlers } from "./list-handlers.ts";
import { FieldViolations } from "./field-violations.ts";
import { PageTokens } from "./page-token.ts";
import { planHandler } from "./plan-handler.ts";
import { QuestionGate, type QuestionParts } from "./question-gate.ts";
import { statusAnswer } from "./status-answer.ts";
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

/**
 * The service over the permissions of one cluster (permissions §11). Questions never fail for want of a snapshot: they answer with a code.
 *
 * @param tokens of this process; absent: its own
 */
export function permissionMethods(parts: QuestionParts, tokens = new PageTokens(parts.random)): PermissionMethods {
  const { store, clock, random } = parts;
  const questions = new QuestionGate(parts);
  const pages = new AnswerPages(store, clock, tokens);
  return {
    ...decisionHandlers(questions),
    ...planHandler(questions, pages),
    ...listHandlers(questions, pages),
    watchSnapshot(message, context) {
      requireReviewed(context.principal);
      requireServed(store, message.cluster, "WatchSnapshot");
      return watchSnapshot(message, context, parts);
    },
    getStatus(message, context) {
      requireReviewed(context.principal);
      requireServed(store, message.cluster, "GetStatus");
      const meta = questions.metas.of(store.current, store.state(), ulid(clock, random));
      return statusAnswer(store, meta, parts.facts ?? {});
    },
  };
}

/** @throws GrpcStatusError INVALID_ARGUMENT, NOT_FOUND or UNAVAILABLE: these answers are no decisions and have no way to say no */
function requireServed({ cluster: served, refusal }: SnapshotReader, cluster: string, method: string): void {
  const violations = new FieldViolations();
  violations.text("cluster", cluster);
  if (cluster !== "" && cluster !== served)
    violations.add("cluster", `is empty or ${served}, which this service serves`);
  violations.throwIfAny(method);
  if (refusal === undefined) return;
  throw new GrpcStatusError(refusal.code === "CLUSTER_NOT_SERVED" ? Status.NOT_FOUND : Status.UNAVAILABLE, {
    reason: refusal.code,
    object: method,
    field: "cluster",
    expected: refusal.reason,
  });
}
