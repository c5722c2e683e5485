import type { CallContext } from "../../api/grpc/call-context.ts";
import { FieldViolations } from "../service/field-violations.ts";
import type { PermissionMethods } from "../service/permission-handlers.ts";
import type { AskedCluster, FleetPermissions } from "./fleet-permissions.ts";

/**
 * The methods of PermissionService for every cluster of the fleet: a question names its cluster, and is answered as that cluster's own
 * service answers.
 */
export function fleetPermissionMethods(fleet: FleetPermissions): PermissionMethods {
  const opened = (
    method: string,
    { cluster }: { readonly cluster: string },
    { signal }: CallContext,
  ): AskedCluster | Promise<AskedCluster> => {
    const violations = new FieldViolations();
    violations.text("cluster", cluster, { required: true });
    violations.throwIfAny(method);
    return fleet.open(cluster, signal);
  };
  return {
    checkPermission(message, context) {
      const asked = opened("CheckPermission", message, context);
      return asked instanceof Promise
        ? asked.then(({ methods }) => methods.checkPermission(message, context))
        : asked.methods.checkPermission(message, context);
    },
    async batchCheckPermission(message, context) {
      return (await opened("BatchCheckPermission", message, context)).methods.batchCheckPermission(message, context);
    },
    async planAccess(message, context) {
      return (await opened("PlanAccess", message, context)).methods.planAccess(message, context);
    },
    async explainDecision(message, context) {
      return (await opened("ExplainDecision", message, context)).methods.explainDecision(message, context);
    },
    async listPermissions(message, context) {
      return (await opened("ListPermissions", message, context)).methods.listPermissions(message, context);
    },
    async whoCanDo(message, context) {
      return (await opened("WhoCanDo", message, context)).methods.whoCanDo(message, context);
    },
    async *lookupResources(message, context) {
      yield* (await opened("LookupResources", message, context)).methods.lookupResources(message, context);
    },
    async *watchSnapshot(message, context) {
      const asked = await opened("WatchSnapshot", message, context);
      const release = fleet.keep(asked);
      try {
        yield* asked.methods.watchSnapshot(message, context);
      } finally {
        release();
      }
    },
    async getStatus(message, context) {
      return (await opened("GetStatus", message, context)).methods.getStatus(message, context);
    },
  };
}
