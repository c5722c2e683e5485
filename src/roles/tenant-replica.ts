import { SeamError } from "../base/errors.ts";
import type { Refusal } from "../permissions/store/snapshot-reader.ts";
import type { Environment } from "./environment.ts";

/** Until the mirror was read once: it may hold a revocation that this replica has not heard of. */
export const MIRROR_AWAITED: Refusal = {
  code: "SNAPSHOT_NOT_LOADED",
  reason: "this replica has just started and reads what the tenant's agent has verified; ask again in a moment",
};

/** Whether this process follows the agent of its tenant (TENANT_REPLICA). @throws SeamError `EnvironmentInvalid` */
export function isFollower(env: Environment): boolean {
  const text = env["TENANT_REPLICA"] || "agent";
  if (text === "agent" || text === "follower") return text === "follower";
  throw new SeamError({
    reason: "EnvironmentInvalid",
    object: "environment variable TENANT_REPLICA",
    expected: `must be agent or follower, found ${JSON.stringify(text)}`,
    remedy: "one process of a tenant is its agent; followers answer questions beside it",
  });
}
