import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster, WriteOptions } from "../../cluster.ts";
import type { Authorizer } from "../authorizer.ts";
import type { User } from "../user.ts";
import { ensureDefaultPolicy } from "./ensure-default-policy.ts";
import { escalationCheck, type PolicyWrite } from "./escalation.ts";
import { PolicyCache } from "./policy-cache.ts";
import { rbacAuthorizer } from "./rbac-authorizer.ts";

/** What {@link startRbac} needs. */
export interface RbacOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A running RBAC authorizer. */
export interface Rbac {
  readonly authorizer: Authorizer;
  /** See {@link escalationCheck}. */
  readonly escalation: (user: User, write: PolicyWrite) => WriteOptions["admit"];
  readonly closed: Promise<void>;
}

/** Writes the default policy, reads what is stored and follows it. Rejects when the signal aborts before it is ready. */
export async function startRbac(options: RbacOptions): Promise<Rbac> {
  await ensureDefaultPolicy(options.cluster);
  const policy = new PolicyCache(options);
  await policy.synced;
  return {
    authorizer: rbacAuthorizer(policy),
    escalation: (user, write) => escalationCheck(policy, user, write),
    closed: policy.closed,
  };
}
