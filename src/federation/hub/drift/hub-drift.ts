import type { DriftReport } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { DriftSignal } from "../../../api/kinds/drift-signal.ts";
import { clusterOfNamespace, tenantNamespace } from "../../../api/names.ts";
import { keyText } from "../../../api/object.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { jittered, type Random } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import type { KeyedMessage } from "../hub-options.ts";
import { NO_FENCE, type WriteFence } from "../ports.ts";
import { affectedObject } from "./affected-object.ts";
import { driftUpdate, sameUpdate } from "./drift-update.ts";
import { DRIFT_RULES, type DriftEvent, type DriftRules } from "./next-drift-state.ts";
import { factsOf, stateOf } from "./signal-object.ts";
import { type SignalNews, SignalWriter } from "./signal-writer.ts";
import { redeployValue } from "./terminal-drift.ts";

/** Options of {@link hubDrift}. */
export interface HubDriftOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** True while a tenant's channel is degraded. Default: never. */
  readonly degraded?: (clusterId: string) => boolean;
  /** True while this replica leads: only the leader does the timed work. Default: always. */
  readonly leads?: () => boolean;
  /** Numbers of conductor §9.3; tests shorten them. */
  readonly rules?: Partial<DriftRules>;
}

/** The hub's side of drift. */
export interface HubDrift {
  /**
   * Stores a report: resolves when the DriftSignal is durable, after which the acknowledgement may leave.
   *
   * @throws FactRefused for a report that can never be stored
   */
  report(clusterId: string, report: DriftReport, fence?: WriteFence): Promise<void>;
  /** What a tenant's agent is told about its signals, once they are known. */
  updates(clusterId: string): Promise<readonly KeyedMessage[]>;
  /** Calls `listener` whenever there is something new to tell an agent. Returns the way to stop. */
  subscribe(listener: (clusterId: string, update: KeyedMessage) => void): () => void;
  /** Resolves when the signal has aborted and nothing is under way. */
  readonly closed: Promise<void>;
}

/** How often the timed rules are looked at. */
const TICK_MS = 15_000;
/** A confirmed signal is kept so long (resources-seam §7.1). */
const KEEP_CONFIRMED_MS = 86_400_000;
/** A pending signal older than this has lost its acknowledgement to a crash; the agent resends until acknowledged anyway. */
const PENDING_MS = 10_000;

/** Index of signals by the cluster that reports them. */
const BY_CLUSTER = "cluster";

/** Starts the DriftSignal state machine of the hub (conductor §9.3, R-9.1 to ). */
export function hubDrift(options: HubDriftOptions): HubDrift {
  return new Hub(options);
}

class Hub implements HubDrift {
  readonly closed: Promise<void>;
  readonly #options: HubDriftOptions;
  readonly #signals: Informer<DriftSignal>;
  readonly #writer: SignalWriter;
  readonly #background = new Set<Promise<void>>();

  constructor(options: HubDriftOptions) {
    const { cluster, clock, random, log, degraded = () => false, rules } = options;
    this.#options = options;
    this.#signals = startInformer({
      ...options,
      type: DriftSignal,
      indexes: { [BY_CLUSTER]: ({ metadata }) => [clusterOfNamespace(metadata.namespace) ?? ""] },
    });
    this.#writer = new SignalWriter({
      cluster,
      clock,
      random,
      log,
      degraded,
      rules: { ...DRIFT_RULES, ...rules },
      signals: () => this.#signals.list(),
    });
    this.closed = this.#run();
  }

  async report(clusterId: string, report: DriftReport, fence: WriteFence = NO_FENCE): Promise<void> {
    const affected = await affectedObject(this.#options.cluster, clusterId, report);
    const key = { namespace: tenantNamespace(clusterId), name: report.signalName };
    const correction =
      report.lastCorrectionId === ""
        ? {}
        : { correction: { id: report.lastCorrectionId, applied: report.lastCorrectionApplied } };
    const event: DriftEvent = report.healthy
      ? { type: "Healthy", ...correction }
      : { type: "Drifted", observedAtMs: this.#observed(report), ...correction };
    const news: SignalNews = (current) => factsOf(report, clusterId, affected, current);
    const stored = await this.#writer.step(key, event, news, fence);
    if (stored?.spec.state !== "pending") return;
    this.#later("acknowledge", async () => {
      await this.#writer.step(key, { type: "Acknowledged" });
    });
  }

  async updates(clusterId: string): Promise<readonly KeyedMessage[]> {
    await this.#signals.synced;
    return this.#signals.byIndex(BY_CLUSTER, clusterId).map(driftUpdate);
  }

  subscribe(listener: (clusterId: string, update: KeyedMessage) => void): () => void {
    return this.#signals.subscribe((event) => {
      const clusterId = clusterOfNamespace(event.object.metadata.namespace);
      if (clusterId === undefined || event.type === "DELETED") return;
      const update = driftUpdate(event.object);
      if (event.type === "MODIFIED" && sameUpdate(update, driftUpdate(event.old))) return;
      listener(clusterId, update);
    });
  }

  /** The agent's clock, kept from lying in the future. */
  #observed(report: DriftReport): number {
    const said = Number(report.observedUnixMs);
    const now = this.#options.clock.now();
    return said > 0 && said <= now ? said : now;
  }

  async #run(): Promise<void> {
    const { clock, random, signal, leads, log } = this.#options;
    while (!signal.aborted) {
      try {
        await clock.sleep(jittered(random, TICK_MS), signal);
      } catch {
        break; // aborted while waiting: that is the way to stop
      }
      if (leads?.() === false) continue;
      for (const object of this.#signals.list()) {
        try {
          await this.#tick(object);
        } catch (error) {
          log.warn(
            { signal: keyText(object.metadata), error: errorMessage(error) },
            "drift signal could not be looked after",
          );
        }
      }
    }
    await this.#signals.closed;
    await Promise.all(this.#background);
  }

  /** The timed rules for one signal. */
  async #tick(object: DriftSignal): Promise<void> {
    const { clock, cluster } = this.#options;
    const { namespace, name, uid, resourceVersion } = object.metadata;
    if (namespace === undefined || clusterOfNamespace(namespace) === undefined) return;
    const key = { namespace, name };
    const state = stateOf(object);
    const now = clock.now();
    const { confirmedAtMs, terminal, redeploySeen = "" } = state.book;
    if (state.state === "confirmed" && confirmedAtMs !== undefined && now - confirmedAtMs >= KEEP_CONFIRMED_MS) {
      const preconditions = {
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      };
      await cluster.delete(DriftSignal, key, { preconditions }).catch((error: unknown) => {
        if (!isStatus(error, "NotFound", "Conflict")) throw error;
      });
      return;
    }
    if (state.state === "pending" && now - state.observedAtMs >= PENDING_MS)
      await this.#writer.step(key, { type: "Acknowledged" });
    if (terminal === true && state.state !== "confirmed") {
      const asked = await redeployValue(cluster, object);
      if (asked !== "" && asked !== redeploySeen) await this.#writer.step(key, { type: "Redeploy" });
    }
    if (state.state === "delivered") await this.#writer.conditions(object, state);
  }

  #later(what: string, body: () => Promise<void>): void {
    const running = body().catch((error: unknown) => {
      // The timed rules make up for it.
      this.#options.log.warn({ what, error: errorMessage(error) }, "drift follow-up failed");
    });
    this.#background.add(running);
    void running.finally(() => this.#background.delete(running));
  }
}
