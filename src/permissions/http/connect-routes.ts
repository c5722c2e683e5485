import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext, createContextKey } from "@connectrpc/connect";
import {
  BatchCheckPermissionResponseSchema,
  CheckPermissionResponseSchema,
  ExplainDecisionResponseSchema,
  GetStatusResponseSchema,
  ListPermissionsResponseSchema,
  LookupResourcesResponseSchema,
  PermissionService,
  PlanAccessResponseSchema,
  WatchSnapshotResponseSchema,
  WhoCanDoResponseSchema,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { connectErrorOf } from "../../api/grpc/connect-error.ts";
import type { CallContext } from "../../api/grpc/call-context.ts";
import type { Reply } from "../../api/grpc/service-implementation.ts";
import { Status, statusOf } from "../../api/grpc/status-error.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { PermissionMethods } from "../service/permission-handlers.ts";
import { type HttpCaller, callContext } from "./http-caller.ts";
import { replyMessage } from "./reply-message.ts";

/** Where the server leaves the caller of a request. */
export const CALLER_KEY = createContextKey<HttpCaller | undefined>(undefined);

/** PermissionService over Connect: the methods of gRPC, the same messages as JSON or protobuf. */
export function connectRoutes(methods: PermissionMethods, log: Log): (router: ConnectRouter) => void {
  const context = ({ signal, values }: HandlerContext): CallContext => {
    const caller = values.get(CALLER_KEY);
    if (caller === undefined) throw new ConnectError("the caller is not known", Code.Unauthenticated);
    return callContext(caller, signal);
  };
  const failed = (error: unknown): ConnectError => {
    if (error instanceof ConnectError) return error;
    const status = statusOf(error);
    if (status.code === Status.INTERNAL) log.error({ error: errorMessage(error) }, "Connect handler failed");
    return connectErrorOf(status);
  };
  const unary =
    <I, O extends DescMessage>(
      output: O,
      method: (request: I, context: CallContext) => Promise<Reply<O>> | Reply<O>,
    ): ((request: I, context: HandlerContext) => Promise<MessageShape<O>>) =>
    async (request, call) => {
      try {
        return replyMessage(output, await method(request, context(call)));
      } catch (error) {
        throw failed(error);
      }
    };
  const stream = <I, O extends DescMessage>(
    output: O,
    method: (request: I, context: CallContext) => AsyncIterable<Reply<O>>,
  ): ((request: I, context: HandlerContext) => AsyncGenerator<MessageShape<O>>) =>
    async function* answer(request, call) {
      try {
        for await (const reply of method(request, context(call))) yield replyMessage(output, reply);
      } catch (error) {
        throw failed(error);
      }
    };
  return (router) => {
    router.service(PermissionService, {
      checkPermission: unary(CheckPermissionResponseSchema, methods.checkPermission),
      batchCheckPermission: unary(BatchCheckPermissionResponseSchema, methods.batchCheckPermission),
      listPermissions: unary(ListPermissionsResponseSchema, methods.listPermissions),
      whoCanDo: unary(WhoCanDoResponseSchema, methods.whoCanDo),
      planAccess: unary(PlanAccessResponseSchema, methods.planAccess),
      explainDecision: unary(ExplainDecisionResponseSchema, methods.explainDecision),
      getStatus: unary(GetStatusResponseSchema, methods.getStatus),
      lookupResources: stream(LookupResourcesResponseSchema, methods.lookupResources),
      watchSnapshot: stream(WatchSnapshotResponseSchema, methods.watchSnapshot),
    });
  };
}
