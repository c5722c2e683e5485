import { PermissionService } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { Log } from "../../base/log.ts";
import type { PermissionMethods } from "../service/permission-handlers.ts";
import type { ConnectForm } from "./connect-form.ts";
import type { HttpCaller } from "./http-caller.ts";
import type { HttpRequest, HttpResponse } from "./http-exchange.ts";

/** Start of the path of every method. */
export const CONNECT_PREFIX = `/${PermissionService.typeName}/`;

/** Answers a request below {@link CONNECT_PREFIX} for a caller that is known. */
export type LateConnectForm = (request: HttpRequest, response: HttpResponse, caller: HttpCaller) => Promise<void>;

/**
 * The Connect form, loaded with its first request: most tenants are only ever asked over gRPC and by their API server, and Connect brings
 * Node's `fetch` along.
 */
export function lateConnectForm(methods: PermissionMethods, log: Log, signal: AbortSignal): LateConnectForm {
  let form: ConnectForm | undefined;
  return async (request, response, caller) => {
    if (form === undefined) {
      const { connectForm } = await import("./connect-form.ts");
      form ??= connectForm(methods, log, signal);
    }
    form(request, response, caller);
  };
}
