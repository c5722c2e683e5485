import type { ItemReport } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { SparseMap } from "../../../base/sparse-map.ts";
import type { DesiredIndex } from "../../hub/ports.ts";
import { itemKey } from "../../index/index-document.ts";
import type { QuarantinedItem } from "./agent-claims.ts";

/** Most refusals kept of items that no index names: between two indexes there are some, and an agent may invent any number. */
export const MAX_UNNAMED_REFUSALS = 1_024;

/** What one agent refused for good, in step with its reports: the content is not sent again before something changes (lessons §3.6). */
export class QuarantinedItems {
  readonly #items: SparseMap<string, QuarantinedItem> = new SparseMap();

  /** By item key, to be read now. */
  get entries(): ReadonlyMap<string, QuarantinedItem> {
    return this.#items.entries;
  }

  clear(): void {
    this.#items.clear();
  }

  /** @param indexes those whose items the agent may speak of: what it should hold and what it holds */
  observe(report: ItemReport, indexes: readonly (DesiredIndex | undefined)[]): void {
    const { nack } = report;
    if (nack === undefined || nack.retryable) {
      // Nearly always nothing is quarantined, and a Hello brings the reports of every item.
      if (this.#items.size > 0) this.#items.delete(itemKey(report));
      return;
    }
    this.#items.set(itemKey(report), { digest: report.digest, version: Number(report.version), reason: nack.reason });
    let most = MAX_UNNAMED_REFUSALS;
    for (const index of indexes) most += index?.document.items.length ?? 0;
    if (this.#items.size > most) this.keepNamed(indexes);
  }

  /** Forgets the refusals of items that none of these indexes names. */
  keepNamed(indexes: readonly (DesiredIndex | undefined)[]): void {
    if (this.#items.size === 0) return;
    const named = new Set<string>();
    for (const index of indexes) for (const item of index?.document.items ?? []) named.add(itemKey(item));
    for (const key of this.#items.keys()) if (!named.has(key)) this.#items.delete(key);
  }
}
