import type { JsonObject } from "../../src/base/json.ts";

/** A denied decision as PermissionService logs it. */
export function decision(i: number): JsonObject {
  return {
    action: "authz.decision",
    subject: `system:serviceaccount:team-${i % 100}:worker-${i % 7}`,
    caller: "system:node:worker-1",
    query: "check",
    decision: "deny",
    code: "NO_MATCHING_RULE",
    decisionId: `01JDXYZ${String(i).padStart(19, "0")}`,
    snapshotVersion: "1764460800.42",
    matchedPolicy: "",
    requestId: `request-${i}`,
    verb: "get",
    resource: `secrets/token-${i % 1_000}`,
    namespace: `team-${i % 100}`,
  };
}
