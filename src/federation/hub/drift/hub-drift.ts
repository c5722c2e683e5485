import type { DriftReport } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { DriftSignal, type DriftSignalSpec } from "../../../api/kinds/drift-signal.ts";
import { PackDelivery } from "../../../api/kinds/pack-delivery.ts";
import { PackInstalled } from "../../../api/kinds/pack-installed.ts";
import {
  clusterOfNamespace,
  CONTROLS,
  FIELD_MANAGERS,
  LABELS,
  packDriftSignalName,
  tenantNamespace,
} from "../../../api/names.ts";
import { type KubeObject, keyText, type ObjectKey } from "../../../api/object.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import type { Condition } from "../../../api/kinds/condition.ts";
import { canonicalJson } from "../../../base/canonical-json.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import { uuidV4 } from "../../../base/ids.ts";
import type { JsonObject } from "../../../base/json.ts";
import type { Log } from "../../../base/log.ts";
import { jittered, type Random } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import { applyStatus } from "../../../controller/status.ts";
import type { KeyedMessage } from "../hub-options.ts";
import { SerialByKey } from "../mirror/serial-by-key.ts";
import { FactRefused, NO_FENCE, type WriteFence } from "../ports.ts";
import { driftUpdate, sameUpdate } from "./drift-update.ts";
import { DRIFT_RULES, type DriftEvent, type DriftRules, type DriftState, nextDriftState } from "./next-drift-state.ts";
import { conditionsOf, DRIFT_BOOK, factsOf, specOf, stateOf, terminalCondition } from "./signal-object.ts";

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

/** Field manager of the conditions on governed objects: one writer per condition. */
const MANAGER = `${FIELD_MANAGERS.hub}-drift`;
/** Tries of one conditional write against other writers. */
const MAX_CONFLICTS = 20;
/** How often the timed rules are looked at. */
const TICK_MS = 15_000;
/** A delivered signal that nobody takes up. */
const CORRECTOR_ABSENT_MS = 900_000;
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
  readonly #rules: DriftRules;
  readonly #signals: Informer<DriftSignal>;
  readonly #serial = new SerialByKey();
  readonly #background = new Set<Promise<void>>();

  constructor(options: HubDriftOptions) {
    this.#options = options;
    this.#rules = { ...DRIFT_RULES, ...options.rules };
    this.#signals = startInformer({
      ...options,
      type: DriftSignal,
      indexes: { [BY_CLUSTER]: ({ metadata }) => [clusterOfNamespace(metadata.namespace) ?? ""] },
    });
    this.closed = this.#run();
  }

  async report(clusterId: string, report: DriftReport, fence: WriteFence = NO_FENCE): Promise<void> {
    const affected = await this.#affected(clusterId, report);
    const key = { namespace: tenantNamespace(clusterId), name: report.signalName };
    const correction =
      report.lastCorrectionId === ""
        ? {}
        : { correction: { id: report.lastCorrectionId, applied: report.lastCorrectionApplied } };
    const event: DriftEvent = report.healthy
      ? { type: "Healthy", ...correction }
      : { type: "Drifted", observedAtMs: this.#observed(report), ...correction };
    const stored = await this.#step(key, event, (current) => factsOf(report, clusterId, affected, current), fence);
    if (stored?.spec.state !== "pending") return;
    this.#later("acknowledge", async () => {
      await this.#step(key, { type: "Acknowledged" });
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

  /** Whose drift it is. A tenant names only what is its own: the pack's delivery is read from the PackInstalled in its namespace. */
  async #affected(clusterId: string, report: DriftReport): Promise<DriftSignalSpec["affectedCRRef"]> {
    if (report.affectedKind === "PackDelivery") {
      if (report.signalName !== packDriftSignalName(report.packInstanceRef))
        throw new FactRefused(
          "DriftReportInvalid",
          `signal ${report.signalName} does not belong to pack ${report.packInstanceRef}`,
        );
      const installed = await this.#get(PackInstalled, {
        namespace: tenantNamespace(clusterId),
        name: report.packInstanceRef,
      });
      if (installed === undefined)
        throw new FactRefused(
          "UnknownPack",
          `PackInstalled ${report.packInstanceRef} does not exist for cluster ${clusterId}`,
        );
      const { clusterPackRef, clusterPackNamespace } = installed.spec;
      return {
        group: "seam.ontai.dev",
        kind: "PackDelivery",
        namespace: clusterPackNamespace ?? tenantNamespace(clusterId),
        name: clusterPackRef,
      };
    }
    const { affectedKind, affectedGroup, affectedNamespace } = report;
    if ((affectedKind !== "TalosCluster" && affectedKind !== "RunnerConfig") || report.affectedName !== clusterId)
      throw new FactRefused(
        "DriftReportInvalid",
        `${affectedKind} ${report.affectedName} is not governed for cluster ${clusterId}`,
      );
    if (
      !/^drift-(version|k8s-version|runnerconfig)-/.test(report.signalName) ||
      !report.signalName.endsWith(`-${clusterId}`)
    )
      throw new FactRefused("DriftReportInvalid", `signal ${report.signalName} is no signal of cluster ${clusterId}`);
    return {
      group: affectedGroup,
      kind: affectedKind,
      name: clusterId,
      ...(affectedNamespace === "" ? {} : { namespace: affectedNamespace }),
    };
  }

  /** One event, one conditional write; another writer in between means reading again. Within this replica one at a time. */
  #step(
    key: ObjectKey,
    event: DriftEvent,
    facts?: (current: DriftSignalSpec | undefined) => Parameters<typeof specOf>[2],
    fence: WriteFence = NO_FENCE,
  ): Promise<DriftSignal | undefined> {
    return this.#serial.run(keyText(key), () => this.#write(key, event, facts, fence));
  }

  async #write(
    key: ObjectKey,
    event: DriftEvent,
    facts: ((current: DriftSignalSpec | undefined) => Parameters<typeof specOf>[2]) | undefined,
    fence: WriteFence,
  ): Promise<DriftSignal | undefined> {
    for (let tries = 0; ; tries++) {
      const current = await this.#get(DriftSignal, key);
      const before = current && stateOf(current);
      const next = nextDriftState(before, event, await this.#moment(key, current), this.#rules);
      if (next === undefined) return current;
      const news =
        facts?.(current?.spec) ??
        (current && { affectedCRRef: current.spec.affectedCRRef, driftReason: current.spec.driftReason });
      if (news === undefined) return current;
      const spec = specOf(next, current?.spec, news);
      if (current !== undefined && next === before && sameSpec(spec, current.spec)) return current;
      await fence.hold();
      try {
        // A corrector must never see a terminal signal waiting without its condition.
        if (current !== undefined && next.book.terminal === true) await this.#conditions(current, next);
        const written = await this.#put(key, current, spec, next);
        await this.#conditions(written, next);
        if (before?.book.terminal === true || next.book.terminal === true) await this.#governed(written, next);
        this.#tell(key, before, next);
        return written;
      } catch (error) {
        if (!isStatus(error, "Conflict", "AlreadyExists", "NotFound") || tries >= MAX_CONFLICTS) throw error;
      }
    }
  }

  async #moment(key: ObjectKey, signal: DriftSignal | undefined) {
    const { clock, random, degraded } = this.#options;
    const clusterId = clusterOfNamespace(key.namespace) ?? "";
    return {
      nowMs: clock.now(),
      newCorrelationId: uuidV4(random),
      degraded: degraded?.(clusterId) === true,
      // Only these two states can become terminal, and then the value that stands there now is no new request.
      redeploy:
        signal?.spec.state === "queued" || signal?.spec.state === "confirmed" ? await this.#redeployValue(signal) : "",
    };
  }

  async #put(
    key: ObjectKey,
    current: DriftSignal | undefined,
    spec: DriftSignalSpec,
    next: DriftState,
  ): Promise<DriftSignal> {
    const options = { fieldManager: FIELD_MANAGERS.hub };
    const book = JSON.stringify(next.book);
    if (current === undefined) {
      return this.#options.cluster.create(
        DriftSignal,
        {
          apiVersion: "seam.ontai.dev/v1alpha1",
          kind: "DriftSignal",
          metadata: {
            ...key,
            labels: { [LABELS.cluster]: clusterOfNamespace(key.namespace) ?? "" },
            annotations: { [DRIFT_BOOK]: book },
          },
          spec,
        },
        options,
      );
    }
    const annotations = { ...current.metadata.annotations, [DRIFT_BOOK]: book };
    return this.#options.cluster.update(
      DriftSignal,
      { ...current, metadata: { ...current.metadata, annotations }, spec },
      options,
    );
  }

  async #conditions(signal: DriftSignal, state: DriftState): Promise<void> {
    const { cluster, clock } = this.#options;
    const fields = signal.metadata.generation === undefined ? {} : { observedGeneration: signal.metadata.generation };
    const conditions = conditionsOf(state, clock.now(), CORRECTOR_ABSENT_MS);
    await applyStatus({ cluster, clock }, DriftSignal, signal, { fields, conditions }, MANAGER);
  }

  /** TerminalDrift on the PackInstalled and the affected object. One delivery has many tenants: it is terminal while any of them is. */
  async #governed(signal: DriftSignal, state: DriftState): Promise<void> {
    const { packInstanceRef, affectedCRRef } = signal.spec;
    const terminal = state.book.terminal === true;
    if (packInstanceRef !== undefined && signal.metadata.namespace !== undefined)
      await this.#terminal(
        PackInstalled,
        { namespace: signal.metadata.namespace, name: packInstanceRef },
        terminal,
        state,
      );
    if (affectedCRRef.kind !== "PackDelivery" || affectedCRRef.namespace === undefined) return;
    const elsewhere = this.#signals
      .list()
      .some(
        (other) =>
          other.metadata.uid !== signal.metadata.uid &&
          other.spec.affectedCRRef.name === affectedCRRef.name &&
          other.spec.affectedCRRef.namespace === affectedCRRef.namespace &&
          stateOf(other).book.terminal === true,
      );
    await this.#terminal(
      PackDelivery,
      { namespace: affectedCRRef.namespace, name: affectedCRRef.name },
      terminal || elsewhere,
      state,
    );
  }

  async #terminal<T extends KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } }>(
    type: ResourceType<T>,
    key: ObjectKey,
    terminal: boolean,
    state: DriftState,
  ): Promise<void> {
    const { cluster, clock } = this.#options;
    const object = await this.#get(type, key);
    if (object === undefined) return;
    await applyStatus(
      { cluster, clock },
      type,
      object,
      { conditions: [terminalCondition(terminal, state.escalationCounter)] },
      MANAGER,
    );
  }

  async #redeployValue(signal: DriftSignal): Promise<string> {
    const { kind, namespace, name } = signal.spec.affectedCRRef;
    if (kind !== "PackDelivery" || namespace === undefined) return "";
    const delivery = await this.#get(PackDelivery, { namespace, name });
    return delivery?.metadata.annotations?.[CONTROLS.redeploy] ?? "";
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
      await this.#step(key, { type: "Acknowledged" });
    if (terminal === true && state.state !== "confirmed") {
      const asked = await this.#redeployValue(object);
      if (asked !== "" && asked !== redeploySeen) await this.#step(key, { type: "Redeploy" });
    }
    if (state.state === "delivered") await this.#conditions(object, state);
  }

  #tell(key: ObjectKey, before: DriftState | undefined, next: DriftState): void {
    if (before?.state === next.state && before.escalationCounter === next.escalationCounter) return;
    this.#options.log.info(
      {
        signal: keyText(key),
        from: before?.state ?? "none",
        to: next.state,
        correlationId: next.correlationId,
        failedCorrections: next.escalationCounter,
        terminal: next.book.terminal === true,
      },
      "drift signal moved",
    );
  }

  #later(what: string, body: () => Promise<void>): void {
    const running = body().catch((error: unknown) => {
      // The timed rules make up for it.
      this.#options.log.warn({ what, error: errorMessage(error) }, "drift follow-up failed");
    });
    this.#background.add(running);
    void running.finally(() => this.#background.delete(running));
  }

  async #get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T | undefined> {
    try {
      return await this.#options.cluster.get(type, key);
    } catch (error) {
      if (isStatus(error, "NotFound")) return undefined;
      throw error;
    }
  }
}

function sameSpec(a: DriftSignalSpec, b: DriftSignalSpec): boolean {
  const canonical = (spec: DriftSignalSpec): string => canonicalJson(JSON.parse(JSON.stringify(spec)) as JsonObject);
  return canonical(a) === canonical(b);
}
