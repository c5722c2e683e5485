import { createContextValues } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Log } from "../../base/log.ts";
import type { PermissionMethods } from "../service/permission-handlers.ts";
import { CALLER_KEY, connectRoutes } from "./connect-routes.ts";
import type { HttpCaller } from "./http-caller.ts";
import type { HttpRequest, HttpResponse } from "./http-exchange.ts";
import { MAX_BODY_BYTES } from "./read-json.ts";

/** Answers a request of one of the methods for a caller that is known. */
export type ConnectForm = (request: HttpRequest, response: HttpResponse, caller: HttpCaller) => void;

/** PermissionService as Connect, JSON or protobuf, for any HTTP server. `signal` aborts when the service stops. */
export function connectForm(methods: PermissionMethods, log: Log, signal: AbortSignal): ConnectForm {
  const callers = new WeakMap<object, HttpCaller>();
  const connect = connectNodeAdapter({
    routes: connectRoutes(methods, log),
    contextValues: (request) => createContextValues().set(CALLER_KEY, callers.get(request)),
    readMaxBytes: MAX_BODY_BYTES,
    // gRPC has its own port, with the channel's keepalive.
    grpc: false,
    shutdownSignal: signal,
  });
  return (request, response, caller) => {
    callers.set(request, caller);
    connect(request, response);
  };
}
