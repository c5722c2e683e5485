import type { CapabilityDeclaration } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { findCondition } from "../../../api/conditions.ts";
import { type FederationStatus, RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { FIELD_MANAGERS, NAMESPACES } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import type { ConditionUpdate } from "../../../api/conditions.ts";
import { applyStatus } from "../../../controller/status.ts";
import type { Random } from "../../../base/random.ts";
import { FactRefused, NO_FENCE, type WriteFence } from "../ports.ts";
import { type ChannelState, channelConditions, declaredStatus, federationStatus } from "./channel-state.ts";
import { retryConflicts } from "./retry-conflicts.ts";
import type { SerialByKey } from "./serial-by-key.ts";
import { storing } from "./storing.ts";

/** What the status is written with. */
export interface AgentStatusParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly serial: SerialByKey;
}

/** Writes what is known of a tenant's agent to `RunnerConfig/{cluster}` in `ont-system`. */
export class AgentStatus {
  readonly #parts: AgentStatusParts;

  constructor(parts: AgentStatusParts) {
    this.#parts = parts;
  }

  /** Stores a declaration. @throws FactRefused when the cluster has no RunnerConfig: the agent declares itself again at each connect */
  declare(cluster: string, declaration: CapabilityDeclaration, fence: WriteFence): Promise<void> {
    return this.#change(cluster, fence, (held) => ({
      federation: declaredStatus(held.status?.federation, declaration),
      conditions: ["FederationChannelDegraded", "AgentConnected"].flatMap((type) => {
        const condition = findCondition(held.status?.conditions, type);
        return condition === undefined ? [] : [condition];
      }),
    }));
  }

  /**
   * Stores a transition of the channel. A cluster without RunnerConfig has nowhere to say it, which is not the channel's failure. What a
   * replica says of a session that another one has taken over since is no news any more: the recorded term decides.
   */
  async channel(cluster: string, state: ChannelState): Promise<void> {
    try {
      await this.#change(cluster, NO_FENCE, (held) =>
        Number(state.term) < (held.status?.federation?.term ?? 0)
          ? undefined
          : {
              federation: federationStatus(held.status?.federation, state),
              conditions: channelConditions(state),
            },
      );
    } catch (error) {
      if (!(error instanceof FactRefused)) throw error;
    }
  }

  #change(
    cluster: string,
    fence: WriteFence,
    content: (
      held: RunnerConfig,
    ) => { readonly federation: FederationStatus; readonly conditions: readonly ConditionUpdate[] } | undefined,
  ): Promise<void> {
    const attempt = async (): Promise<void> => {
      const held = await ifPresent(this.#parts.cluster.get(RunnerConfig, { namespace: NAMESPACES.ont, name: cluster }));
      if (held === undefined)
        throw new FactRefused("RUNNER_CONFIG_MISSING", `RunnerConfig ${NAMESPACES.ont}/${cluster} does not exist`);
      const next = content(held);
      if (next === undefined) return;
      await fence.hold();
      const { federation, conditions } = next;
      await applyStatus(
        this.#parts,
        RunnerConfig,
        held,
        { fields: { federation }, conditions, unchanged: true },
        FIELD_MANAGERS.hub,
      );
    };
    return this.#parts.serial.run(`runnerconfig/${cluster}`, () =>
      storing(`RunnerConfig ${cluster}`, () => retryConflicts(this.#parts, attempt)),
    );
  }
}
