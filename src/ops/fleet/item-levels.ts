import { ItemReport_Level as Level, type Nack } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { ConfigMapObject } from "../../api/builtin.ts";
import { tenantNamespace } from "../../api/names.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import { ITEM_LEVELS_NAME, parseItemLevels } from "../../federation/hub/mirror/item-level-store.ts";
import type { StoredItemLevel } from "../../federation/hub/mirror/item-level-text.ts";
import { type IndexDocument, type IndexItem, itemKey } from "../../federation/index/index-document.ts";

/** How far a desired item has come; reports about another digest of it count as nothing reached. */
export interface ItemProgress {
  readonly item: IndexItem;
  readonly level: Level;
  readonly nack: Nack | undefined;
  /** Refused for good until something changes. */
  readonly quarantined: boolean;
  /** The last report, whatever digest it speaks of. */
  readonly stored: StoredItemLevel | undefined;
  /** True when `stored` speaks of the desired digest. */
  readonly current: boolean;
}

/** Number of items by progress. */
export interface ProgressCounts {
  readonly desired: number;
  readonly received: number;
  readonly verified: number;
  readonly applied: number;
  readonly healthy: number;
  readonly quarantined: number;
}

const NO_LEVELS: ReadonlyMap<string, StoredItemLevel> = new Map();

/** Reads levels from the cache of ConfigMaps; each version of one is parsed and counted once. */
export class ItemLevels {
  readonly #levels: Informer<ConfigMapObject>;
  readonly #parsed = new WeakMap<ConfigMapObject, ReadonlyMap<string, StoredItemLevel>>();
  readonly #counted = new WeakMap<
    IndexDocument,
    { readonly of: ConfigMapObject | undefined; readonly counts: ProgressCounts }
  >();

  constructor(levels: Informer<ConfigMapObject>) {
    this.#levels = levels;
  }

  /** Progress of every item of an index, in its order. */
  progress(index: IndexDocument): readonly ItemProgress[] {
    const levels = this.#of(this.#configMap(index.cluster));
    return index.items.map((item) => progressOf(item, levels.get(itemKey(item))));
  }

  /** Progress of an index in numbers. Tombstones count until they are applied. */
  counts(index: IndexDocument): ProgressCounts {
    const configMap = this.#configMap(index.cluster);
    const held = this.#counted.get(index);
    if (held !== undefined && held.of === configMap) return held.counts;
    const counts = count(this.progress(index));
    this.#counted.set(index, { of: configMap, counts });
    return counts;
  }

  #configMap(cluster: string): ConfigMapObject | undefined {
    return this.#levels.get({ namespace: tenantNamespace(cluster), name: ITEM_LEVELS_NAME });
  }

  #of(configMap: ConfigMapObject | undefined): ReadonlyMap<string, StoredItemLevel> {
    if (configMap === undefined) return NO_LEVELS;
    let levels = this.#parsed.get(configMap);
    if (levels === undefined) {
      levels = new Map(parseItemLevels(configMap).map((stored) => [itemKey(stored.report), stored]));
      this.#parsed.set(configMap, levels);
    }
    return levels;
  }
}

/** Progress of one item. Pure. */
export function progressOf(item: IndexItem, stored: StoredItemLevel | undefined): ItemProgress {
  const current =
    stored !== undefined && stored.report.digest === item.digest && Number(stored.report.version) === item.version;
  const nack = current ? stored.report.nack : undefined;
  return {
    item,
    level: current ? stored.report.level : Level.UNSPECIFIED,
    nack,
    quarantined: nack !== undefined && !nack.retryable,
    stored,
    current,
  };
}

function count(items: readonly ItemProgress[]): ProgressCounts {
  const live = items.filter(({ item, level }) => item.deleted !== true || level < Level.APPLIED);
  const atLeast = (level: Level): number => live.filter((progress) => progress.level >= level).length;
  return {
    desired: live.length,
    received: atLeast(Level.RECEIVED),
    verified: atLeast(Level.VERIFIED),
    applied: atLeast(Level.APPLIED),
    healthy: atLeast(Level.HEALTHY),
    quarantined: live.filter(({ quarantined }) => quarantined).length,
  };
}
