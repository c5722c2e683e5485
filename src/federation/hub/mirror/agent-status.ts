import type { CapabilityDeclaration } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { findCondition } from "../../../api/conditions.ts";
import { type FederationStatus, RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { type ClusterAgent, TalosCluster } from "../../../api/kinds/talos-cluster.ts";
import { FIELD_MANAGERS, NAMESPACES, tenantNamespace } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import type { ConditionUpdate } from "../../../api/conditions.ts";
import { applyStatus } from "../../../controller/status.ts";
import type { Random } from "../../../base/random.ts";
import { FactRefused, NO_FENCE, type WriteFence } from "../ports.ts";
import {
  type ChannelState,
  channelConditions,
  declaredAgent,
  declaredStatus,
  federationStatus,
  greetedAgent,
} from "./channel-state.ts";
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

/**
 * Writes what is known of a tenant's agent: to `RunnerConfig/{cluster}` in `ont-system`, and what it is and can do to the
 * status of the TalosCluster. A cluster may have either, or both.
 */
export class AgentStatus {
  readonly #parts: AgentStatusParts;

  constructor(parts: AgentStatusParts) {
    this.#parts = parts;
  }

  /** Stores a declaration. @throws FactRefused when the cluster has nothing to keep it in: the agent declares itself again at each connect */
  async declare(cluster: string, declaration: CapabilityDeclaration, fence: WriteFence): Promise<void> {
    const [board, talos] = await Promise.all([
      this.#board(cluster, fence, (held) => ({
        federation: declaredStatus(held.status?.federation, declaration),
        conditions: ["FederationChannelDegraded", "AgentConnected"].flatMap((type) => {
          const condition = findCondition(held.status?.conditions, type);
          return condition === undefined ? [] : [condition];
        }),
      })),
      this.#agent(cluster, fence, (before) => declaredAgent(before, declaration)),
    ]);
    if (!board && !talos)
      throw new FactRefused(
        "RUNNER_CONFIG_MISSING",
        `RunnerConfig ${NAMESPACES.ont}/${cluster} does not exist, and no TalosCluster ${cluster} either`,
      );
  }

  /**
   * Stores a transition of the channel. A cluster without RunnerConfig has nowhere to say it, which is not the channel's failure. What a
   * replica says of a session that another one has taken over since is no news any more: the recorded term decides.
   */
  async channel(cluster: string, state: ChannelState): Promise<void> {
    await Promise.all([
      this.#board(cluster, NO_FENCE, (held) =>
        Number(state.term) < (held.status?.federation?.term ?? 0)
          ? undefined
          : {
              federation: federationStatus(held.status?.federation, state),
              conditions: channelConditions(state),
            },
      ),
      this.#agent(cluster, NO_FENCE, (before) => greetedAgent(before, state)),
    ]);
  }

  /** Stores that the channel of a session is down of which nobody could say so; a later session, or a word on this one, stands. */
  async lost(cluster: string, term: bigint, detail: string): Promise<void> {
    await this.#board(cluster, NO_FENCE, ({ status }) => {
      const { federation } = status ?? {};
      if (federation?.connected !== true || (federation.term ?? 0) > Number(term)) return undefined;
      const conditions = channelConditions({ connected: false, reason: "Disconnected", detail });
      return { federation: { ...federation, connected: false }, conditions };
    });
  }

  /** False when the cluster has no RunnerConfig. */
  #board(
    cluster: string,
    fence: WriteFence,
    content: (
      held: RunnerConfig,
    ) => { readonly federation: FederationStatus; readonly conditions: readonly ConditionUpdate[] } | undefined,
  ): Promise<boolean> {
    return this.#storing(`RunnerConfig ${cluster}`, async () => {
      const held = await ifPresent(this.#parts.cluster.get(RunnerConfig, { namespace: NAMESPACES.ont, name: cluster }));
      if (held === undefined) return false;
      const next = content(held);
      if (next === undefined) return true;
      await fence.hold();
      const { federation, conditions } = next;
      const said = { fields: { federation }, conditions, unchanged: true } as const;
      await applyStatus(this.#parts, RunnerConfig, held, said, FIELD_MANAGERS.hub);
      return true;
    });
  }

  /** False when the cluster has no TalosCluster. */
  #agent(
    cluster: string,
    fence: WriteFence,
    content: (before: ClusterAgent | undefined) => ClusterAgent | undefined,
  ): Promise<boolean> {
    return this.#storing(`TalosCluster ${cluster}`, async () => {
      const held = await this.#talosCluster(cluster);
      if (held === undefined) return false;
      const agent = content(held.status?.agent);
      if (agent === undefined) return true;
      await fence.hold();
      await applyStatus(this.#parts, TalosCluster, held, { fields: { agent }, unchanged: true }, FIELD_MANAGERS.hub);
      return true;
    });
  }

  async #talosCluster(name: string): Promise<TalosCluster | undefined> {
    for (const namespace of [tenantNamespace(name), NAMESPACES.seam]) {
      const held = await ifPresent(this.#parts.cluster.get(TalosCluster, { namespace, name }));
      if (held !== undefined) return held;
    }
    return undefined;
  }

  #storing(object: string, attempt: () => Promise<boolean>): Promise<boolean> {
    return this.#parts.serial.run(`agent/${object}`, () => storing(object, () => retryConflicts(this.#parts, attempt)));
  }
}
