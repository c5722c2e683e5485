import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import {
  type ItemReport,
  ItemReport_Level as Level,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { FIELD_MANAGERS, LABELS, tenantNamespace } from "../../../api/names.ts";
import { readJsonLines } from "../../../base/json-lines.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { NO_FENCE, type WriteFence } from "../ports.ts";
import { type StoredItemLevel, itemLevelJson, nextStoredLevel, parseItemLevel } from "./item-level-text.ts";
import { retryConflicts } from "./retry-conflicts.ts";
import { storing } from "./storing.ts";

/** ConfigMap in `seam-tenant-{cluster}` with the last level of every item. */
export const ITEM_LEVELS_NAME = "federation-items";
/** Data key: one JSON object per line. */
export const ITEM_LEVELS_KEY = "items";
/** Most items kept per tenant: what fits into one ConfigMap. */
export const MAX_ITEM_LEVELS = 4000;
/** Largest text, bytes: below the API server's 1 MiB with room for metadata. */
const MAX_TEXT_BYTES = 900 * 1024;

/** What the store writes with. */
export interface ItemLevelStoreParts {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A level that is of no use any more. */
export interface ForgottenLevel {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
  readonly digest: string;
}

interface Flush {
  readonly reports: Map<string, ItemReport>;
  /** Of the newest report: the last owner among those that share the write. */
  fence: WriteFence;
  readonly done: Promise<void>;
}

/**
 * Last level of every item per tenant, durable. Reports that arrive while a write is under way share the next one, so a burst of
 * levels costs two writes.
 */
export class ItemLevelStore {
  readonly #parts: ItemLevelStoreParts;
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Flush>();

  constructor(parts: ItemLevelStoreParts) {
    this.#parts = parts;
  }

  /** Resolves when all `reports` are durable. */
  store(cluster: string, reports: readonly ItemReport[], fence: WriteFence = NO_FENCE): Promise<void> {
    let flush = this.#next.get(cluster);
    if (flush === undefined) {
      const pending = new Map<string, ItemReport>();
      const before = this.#running.get(cluster) ?? Promise.resolve();
      const done = before
        .catch(() => {
          // its callers were told and will come again
        })
        .then(() => {
          this.#next.delete(cluster);
          this.#running.set(cluster, done);
          return storing(`item levels of ${cluster}`, () => this.#write(cluster, started));
        })
        .finally(() => {
          if (this.#running.get(cluster) === done) this.#running.delete(cluster);
        });
      const started: Flush = { reports: pending, fence, done };
      flush = started;
      this.#next.set(cluster, flush);
    }
    flush.fence = fence;
    for (const report of reports) flush.reports.set(keyOf(report), report);
    return flush.done;
  }

  /** Forgets levels that stand as they were read. */
  forget(cluster: string, levels: readonly ForgottenLevel[]): Promise<void> {
    const gone = new Map(levels.map((item) => [keyOf(item), item]));
    return retryConflicts(this.#parts, async () => {
      const held = await ifPresent(this.#parts.cluster.get(ConfigMap, this.#key(cluster)));
      const before = parseItemLevels(held);
      const left = before.filter(({ report }) => {
        const item = gone.get(keyOf(report));
        return item === undefined || item.digest !== report.digest || BigInt(item.version) !== report.version;
      });
      if (left.length < before.length) await this.#put(cluster, held, this.#encode(cluster, left));
    });
  }

  /** Every stored level of a tenant; empty when there is none. */
  async read(cluster: string): Promise<readonly ItemReport[]> {
    const held = await ifPresent(this.#parts.cluster.get(ConfigMap, this.#key(cluster)));
    return parseItemLevels(held).map(({ report }) => report);
  }

  #write(cluster: string, { reports, fence }: Flush): Promise<void> {
    return retryConflicts(this.#parts, async () => {
      const held = await ifPresent(this.#parts.cluster.get(ConfigMap, this.#key(cluster)));
      const levels = new Map(parseItemLevels(held).map((item) => [keyOf(item.report), item]));
      for (const [key, report] of reports) levels.set(key, nextStoredLevel(levels.get(key), report));
      const text = this.#encode(cluster, [...levels.values()]);
      await fence.hold();
      if (held?.data?.[ITEM_LEVELS_KEY] !== text) await this.#put(cluster, held, text);
    });
  }

  async #put(cluster: string, held: ConfigMapObject | undefined, text: string): Promise<void> {
    const options = { fieldManager: FIELD_MANAGERS.hub };
    const data = { [ITEM_LEVELS_KEY]: text };
    if (held !== undefined) {
      await this.#parts.cluster.update(ConfigMap, { ...held, data }, options);
      return;
    }
    const metadata = { ...this.#key(cluster), labels: { [LABELS.cluster]: cluster } };
    await this.#parts.cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data }, options);
  }

  /** Sorted, so that equal levels have equal text. Over the limit, what is healthy and oldest is left out: the agent reports it again. */
  #encode(cluster: string, items: readonly StoredItemLevel[]): string {
    const byNeed = [...items].sort((a, b) => need(b.report) - need(a.report) || newest(a.report, b.report));
    const kept: [string, string][] = [];
    let bytes = 0;
    for (const item of byNeed.slice(0, MAX_ITEM_LEVELS)) {
      const line = JSON.stringify(itemLevelJson(item));
      bytes += Buffer.byteLength(line) + 1;
      if (bytes > MAX_TEXT_BYTES) break;
      kept.push([keyOf(item.report), line]);
    }
    if (kept.length < items.length)
      this.#parts.log.warn(
        { cluster, items: items.length, kept: kept.length },
        "more item levels than one ConfigMap holds",
      );
    return kept
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, line]) => `${line}\n`)
      .join("");
  }

  #key(cluster: string): { readonly namespace: string; readonly name: string } {
    return { namespace: tenantNamespace(cluster), name: ITEM_LEVELS_NAME };
  }
}

/** Reads the ConfigMap; lines that cannot be read are left out, and the agent reports those items again. */
export function parseItemLevels(configMap: ConfigMapObject | undefined): readonly StoredItemLevel[] {
  return readJsonLines(configMap?.data?.[ITEM_LEVELS_KEY] ?? "").flatMap((value) => {
    const item = parseItemLevel(value);
    return item === undefined ? [] : [item];
  });
}

function keyOf(item: { readonly kind: string; readonly name: string }): string {
  return `${item.kind}/${item.name}`;
}

function newest(a: ItemReport, b: ItemReport): number {
  return Number(b.atUnixMs - a.atUnixMs);
}

function need(item: ItemReport): number {
  return item.level === Level.HEALTHY && item.nack === undefined ? 0 : 1;
}
