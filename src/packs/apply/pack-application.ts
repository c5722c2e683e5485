import type { ExecutionStage } from "../../api/kinds/execution-stage.ts";
import type { LifecyclePolicies } from "../../api/kinds/lifecycle-policies.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";

/** Which pack is applied and by which rules. */
export interface PackApplication {
  /** PackInstalled name: owner of every object. */
  readonly packInstalled: string;
  /** PackDelivery name. */
  readonly pack: string;
  readonly version: string;
  readonly lifecyclePolicies: LifecyclePolicies;
  readonly executionOrder?: readonly ExecutionStage[];
}

/** What the apply engine works with. */
export interface ApplyParts {
  /** The target cluster. */
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Stops between calls; what was begun is recorded in the inventory already. */
  readonly signal: AbortSignal;
  /** Says what is waited for, for people. */
  readonly waitingFor?: (text: string) => void;
}
