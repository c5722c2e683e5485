import { create } from "@bufbuild/protobuf";
import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import {
  type AuditEventBatch,
  AuditEventBatchSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { FIELD_MANAGERS, LABELS, NAMESPACES } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Metrics } from "../../../base/metrics.ts";
import { type Random, jittered } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import type { AuditAppendResult, AuditResumePoint, AuditSinkPosition } from "../../hub/ports.ts";
import type { HubAuditSink } from "../hub-audit-sink.ts";
import { STAGED_LABEL, type StagedBatch, readStaged, stagedObject, stagedParts } from "./staged-object.ts";

/** Most objects of one cluster, and of all: 250 MiB of the API server's store. Beyond them the agents wait, as without staging. */
export const MAX_STAGED_PER_CLUSTER = 200;
export const MAX_STAGED = 500;
/** Time between looks for what can be stored, milliseconds, ±10 %. */
const DRAIN_MS = 5_000;
/** Chains whose position is remembered. */
const MAX_KNOWN = 100_000;

/** What {@link stagingSink} works with. */
export interface StagingParts {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Default {@link MAX_STAGED_PER_CLUSTER} and {@link MAX_STAGED}. */
  readonly limits?: { readonly perCluster: number; readonly all: number };
  readonly signal: AbortSignal;
}

/**
 * A sink that, while its store takes nothing, keeps batches as ConfigMaps of the management cluster and acknowledges them after the API server
 * took them. What is staged counts as stored for the resume point: no position is told before it is in the store. Only
 * batches that follow what the chain is known to have are staged, so that an acknowledgement never passes a hole.
 */
export function stagingSink(
  sink: HubAuditSink,
  parts: StagingParts,
): HubAuditSink & { readonly closed: Promise<void> } {
  const staging = new Staging(sink, parts);
  return {
    ...sink,
    append: (cluster, batch) => staging.append(cluster, batch),
    position: (cluster, epoch) => staging.position(cluster, epoch),
    closed: staging.run(),
  };
}

class Staging {
  readonly #sink: HubAuditSink;
  readonly #parts: StagingParts;
  readonly #limits: { readonly perCluster: number; readonly all: number };
  /** Positions by cluster and epoch, as this process has told them. */
  readonly #known = new Map<string, AuditSinkPosition>();
  /** Objects by cluster, as the last list and this process know them. */
  #staged = new Map<string, number>();
  #draining: Promise<void> = Promise.resolve();

  constructor(sink: HubAuditSink, parts: StagingParts) {
    this.#sink = sink;
    this.#parts = parts;
    this.#limits = parts.limits ?? { perCluster: MAX_STAGED_PER_CLUSTER, all: MAX_STAGED };
  }

  async append(cluster: string, batch: AuditEventBatch): Promise<AuditAppendResult> {
    const key = `${cluster} ${batch.epoch}`;
    try {
      // A batch in the store beside an older one that is staged would look like a hole.
      if ((this.#staged.get(cluster) ?? 0) > 0) await this.#drain(cluster);
      const result = await this.#sink.append(cluster, batch);
      this.#remember(key, result);
      return result;
    } catch (error) {
      const staged = await this.#stage(key, cluster, batch);
      if (staged === undefined) throw error;
      return staged;
    }
  }

  async position(cluster: string, epoch: bigint): Promise<AuditResumePoint> {
    // Also what another replica staged: its list is of this moment.
    await this.#drain(cluster);
    const position = await this.#sink.position(cluster, epoch);
    this.#remember(`${cluster} ${epoch}`, position);
    return position;
  }

  /** Stores what is staged, now and then. */
  async run(): Promise<void> {
    const { clock, random, log, signal } = this.#parts;
    while (!signal.aborted) {
      if (this.#sink.state().ok)
        await this.#drain(undefined).catch((error: unknown) =>
          log.warn({ error: errorMessage(error) }, "staged audit batches could not be stored; tried again"),
        );
      await clock.sleep(jittered(random, DRAIN_MS), signal).catch(() => {
        // the process stops; what is staged is stored by the next
      });
    }
    await this.#draining.catch(() => {
      // whoever asked for it was told
    });
  }

  /** Undefined when the batch cannot be staged: it does not follow what is known, or there is no room. */
  async #stage(key: string, cluster: string, batch: AuditEventBatch): Promise<AuditAppendResult | undefined> {
    const { log, metrics } = this.#parts;
    const known = this.#known.get(key);
    const first = batch.events[0]?.sequence;
    const last = batch.events.at(-1)?.sequence;
    if (known === undefined || first === undefined || last === undefined) return undefined;
    if (known.highest !== known.contiguousThrough || first > known.contiguousThrough + 1n) return undefined;
    if (batch.events.some(({ sequence }, at) => sequence !== first + BigInt(at))) return undefined;
    const parts = stagedParts(batch);
    const before = this.#staged.get(cluster) ?? 0;
    const all = this.#count();
    if (before + parts.length > this.#limits.perCluster || all + parts.length > this.#limits.all) return undefined;
    try {
      for (const part of parts) {
        await this.#create(stagedObject(cluster, part));
        this.#staged.set(cluster, (this.#staged.get(cluster) ?? 0) + 1);
      }
    } catch (error) {
      log.warn({ cluster, error: errorMessage(error) }, "an audit batch could not be staged either; its agent waits");
      return undefined;
    }
    metrics.count("audit_batches_staged_total");
    metrics.gauge("audit_staged_objects", all + parts.length);
    if (all === 0) log.warn({ cluster }, "the audit sink takes nothing: batches are staged as ConfigMaps");
    const through = last > known.contiguousThrough ? last : known.contiguousThrough;
    const position = { contiguousThrough: through, highest: through };
    this.#remember(key, position);
    return { ...position, rejected: [] };
  }

  /** An object of this name holds these events: another replica that staged the same batch before is no rival. */
  async #create(object: ConfigMapObject): Promise<void> {
    try {
      await this.#parts.cluster.create(ConfigMap, object, { fieldManager: FIELD_MANAGERS.hub });
    } catch (error) {
      if (!isStatus(error, "AlreadyExists")) throw error;
      const { name, namespace = "" } = object.metadata;
      const held = await this.#parts.cluster.get(ConfigMap, { namespace, name });
      if (held.data?.["events"] !== object.data?.["events"]) throw error;
    }
  }

  /** One drain at a time; a batch that is stored twice is stored once. */
  async #drain(cluster: string | undefined): Promise<void> {
    // Thousands of sessions that open at once do not wait for each other when nothing is staged.
    if ((await this.#list(cluster)).length === 0) return;
    const run = this.#draining.then(
      () => this.#drainNow(cluster),
      () => this.#drainNow(cluster),
    );
    this.#draining = run;
    await run;
  }

  /** What is staged, by the API server; what cannot be read is left alone. */
  async #list(only: string | undefined): Promise<readonly { readonly name: string; readonly batch: StagedBatch }[]> {
    const selector = only === undefined ? "" : `,${LABELS.cluster}=${only}`;
    const { items } = await this.#parts.cluster.list(ConfigMap, {
      namespace: NAMESPACES.seam,
      labelSelector: `${STAGED_LABEL}=true${selector}`,
    });
    const found: { name: string; batch: StagedBatch }[] = [];
    const counts = new Map<string, number>();
    for (const object of items) {
      const { name } = object.metadata;
      const batch = readStaged(object);
      if (batch === undefined) {
        this.#parts.log.warn({ configMap: name }, "is no staged audit batch and is left alone; delete it");
        continue;
      }
      found.push({ name, batch });
      counts.set(batch.cluster, (counts.get(batch.cluster) ?? 0) + 1);
    }
    if (only === undefined) this.#staged = counts;
    else this.#staged.set(only, counts.get(only) ?? 0);
    return found;
  }

  async #drainNow(only: string | undefined): Promise<void> {
    const { cluster, metrics, signal } = this.#parts;
    for (const { name, batch } of await this.#list(only)) {
      if (signal.aborted && only === undefined) return;
      const { epoch, events } = batch;
      await this.#sink.append(batch.cluster, create(AuditEventBatchSchema, { epoch, events: [...events] }));
      await cluster.delete(ConfigMap, { namespace: NAMESPACES.seam, name }).catch((error: unknown) => {
        if (!isStatus(error, "NotFound")) throw error;
      });
      this.#staged.set(batch.cluster, Math.max(0, (this.#staged.get(batch.cluster) ?? 0) - 1));
    }
    metrics.gauge("audit_staged_objects", this.#count());
  }

  #count(): number {
    return [...this.#staged.values()].reduce((sum, count) => sum + count, 0);
  }

  #remember(key: string, { contiguousThrough, highest }: AuditSinkPosition): void {
    if (this.#known.size >= MAX_KNOWN && !this.#known.has(key)) this.#known.clear();
    this.#known.set(key, { contiguousThrough, highest });
  }
}
