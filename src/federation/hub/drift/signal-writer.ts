import { DriftSignal, type DriftSignalSpec } from "../../../api/kinds/drift-signal.ts";
import { clusterOfNamespace, FIELD_MANAGERS, LABELS } from "../../../api/names.ts";
import { keyText, type ObjectKey } from "../../../api/object.ts";
import { canonicalJson } from "../../../base/canonical-json.ts";
import type { Clock } from "../../../base/clock.ts";
import { uuidV4 } from "../../../base/ids.ts";
import type { JsonObject } from "../../../base/json.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { applyStatus } from "../../../controller/status.ts";
import { SerialByKey } from "../mirror/serial-by-key.ts";
import { NO_FENCE, type WriteFence } from "../ports.ts";
import {
  type DriftEvent,
  type DriftMoment,
  type DriftRules,
  type DriftState,
  nextDriftState,
} from "./next-drift-state.ts";
import { conditionsOf, DRIFT_BOOK, specOf, stateOf } from "./signal-object.ts";
import { DRIFT_MANAGER, redeployValue, sayTerminal } from "./terminal-drift.ts";

/** Tries of one conditional write against other writers. */
const MAX_CONFLICTS = 20;
/** A delivered signal that nobody takes up. */
const CORRECTOR_ABSENT_MS = 900_000;

/** What a report says of a signal beyond its state, given what stands there. */
export type SignalNews = (current: DriftSignalSpec | undefined) => Parameters<typeof specOf>[2];

/** Parts of a {@link SignalWriter}. */
export interface SignalWriterParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly rules: DriftRules;
  /** True while a tenant's channel is degraded. */
  readonly degraded: (clusterId: string) => boolean;
  /** Every known signal. */
  readonly signals: () => readonly DriftSignal[];
}

/** Moves DriftSignals by the rules of {@link nextDriftState}: what stands there is read, and written if nobody wrote in between. */
export class SignalWriter {
  readonly #parts: SignalWriterParts;
  readonly #serial = new SerialByKey();

  constructor(parts: SignalWriterParts) {
    this.#parts = parts;
  }

  /** One event, one conditional write; another writer in between means reading again. Within this replica one at a time. */
  step(
    key: ObjectKey,
    event: DriftEvent,
    news?: SignalNews,
    fence: WriteFence = NO_FENCE,
  ): Promise<DriftSignal | undefined> {
    return this.#serial.run(keyText(key), () => this.#write(key, event, news, fence));
  }

  /** Writes the conditions that follow from a state and the time. */
  async conditions(signal: DriftSignal, state: DriftState): Promise<void> {
    const { cluster, clock } = this.#parts;
    const fields = signal.metadata.generation === undefined ? {} : { observedGeneration: signal.metadata.generation };
    const conditions = conditionsOf(state, clock.now(), CORRECTOR_ABSENT_MS);
    await applyStatus({ cluster, clock }, DriftSignal, signal, { fields, conditions }, DRIFT_MANAGER);
  }

  async #write(
    key: ObjectKey,
    event: DriftEvent,
    news: SignalNews | undefined,
    fence: WriteFence,
  ): Promise<DriftSignal | undefined> {
    const { cluster, rules, signals } = this.#parts;
    for (let tries = 0; ; tries++) {
      const current = await ifPresent(cluster.get(DriftSignal, key));
      const before = current && stateOf(current);
      const next = nextDriftState(before, event, await this.#moment(key, current), rules);
      if (next === undefined) return current;
      const facts =
        news?.(current?.spec) ??
        (current && { affectedCRRef: current.spec.affectedCRRef, driftReason: current.spec.driftReason });
      if (facts === undefined) return current;
      const spec = specOf(next, current?.spec, facts);
      if (current !== undefined && next === before && sameSpec(spec, current.spec)) return current;
      await fence.hold();
      try {
        // A corrector must never see a terminal signal waiting without its condition.
        if (current !== undefined && next.book.terminal === true) await this.conditions(current, next);
        const written = await this.#put(key, current, spec, next);
        await this.conditions(written, next);
        if (before?.book.terminal === true || next.book.terminal === true)
          await sayTerminal(this.#parts, written, next, signals());
        this.#tell(key, before, next);
        return written;
      } catch (error) {
        if (!isStatus(error, "Conflict", "AlreadyExists", "NotFound") || tries >= MAX_CONFLICTS) throw error;
      }
    }
  }

  async #moment(key: ObjectKey, signal: DriftSignal | undefined): Promise<DriftMoment> {
    const { cluster, clock, random, degraded } = this.#parts;
    const state = signal?.spec.state;
    return {
      nowMs: clock.now(),
      newCorrelationId: uuidV4(random),
      degraded: degraded(clusterOfNamespace(key.namespace) ?? ""),
      // Only these two states can become terminal, and then the value that stands there now is no new request.
      redeploy:
        signal !== undefined && (state === "queued" || state === "confirmed")
          ? await redeployValue(cluster, signal)
          : "",
    };
  }

  async #put(
    key: ObjectKey,
    current: DriftSignal | undefined,
    spec: DriftSignalSpec,
    next: DriftState,
  ): Promise<DriftSignal> {
    const { cluster } = this.#parts;
    const options = { fieldManager: FIELD_MANAGERS.hub };
    const book = { [DRIFT_BOOK]: JSON.stringify(next.book) };
    if (current === undefined) {
      const labels = { [LABELS.cluster]: clusterOfNamespace(key.namespace) ?? "" };
      return cluster.create(
        DriftSignal,
        {
          apiVersion: "seam.ontai.dev/v1alpha1",
          kind: "DriftSignal",
          metadata: { ...key, labels, annotations: book },
          spec,
        },
        options,
      );
    }
    const annotations = { ...current.metadata.annotations, ...book };
    return cluster.update(DriftSignal, { ...current, metadata: { ...current.metadata, annotations }, spec }, options);
  }

  #tell(key: ObjectKey, before: DriftState | undefined, next: DriftState): void {
    if (before?.state === next.state && before.escalationCounter === next.escalationCounter) return;
    this.#parts.log.info(
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
}

function sameSpec(a: DriftSignalSpec, b: DriftSignalSpec): boolean {
  const canonical = (spec: DriftSignalSpec): string => canonicalJson(JSON.parse(JSON.stringify(spec)) as JsonObject);
  return canonical(a) === canonical(b);
}
