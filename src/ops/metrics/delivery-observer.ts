import type { Clock } from "../../base/clock.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { DesiredStates } from "../../federation/hub/ports.ts";
import { nackClassText } from "../../federation/hub/mirror/item-level-text.ts";
import { itemKey } from "../../federation/index/index-document.ts";
import type { ItemProgress } from "../fleet/item-levels.ts";

/** Indexes of one tenant whose time of signing is remembered. */
const MAX_REMEMBERED = 64;
const LEVELS = ["received", "verified", "applied", "healthy"] as const;

/** What is remembered per tenant. */
interface Remembered {
  /** Unix milliseconds of signing by `epoch.sequence`. */
  readonly issuedAtMs: Map<string, number>;
  /** Level already observed, by item and version. */
  readonly observed: Map<string, number>;
  /** Time of the refusal already counted, by item and version. */
  readonly refused: Map<string, bigint>;
}

/**
 * Feeds the histogram from signing to receipt, per level, and counts refusals by class (lessons §12.2). What was at rest when it
 * started is not observed.
 */
export class DeliveryObserver {
  readonly #parts: { readonly desired: DesiredStates; readonly clock: Clock; readonly metrics: Metrics };
  readonly #tenants = new Map<string, Remembered>();

  constructor(parts: { readonly desired: DesiredStates; readonly clock: Clock; readonly metrics: Metrics }) {
    this.#parts = parts;
  }

  /** To be called after anything about a tenant changed. */
  observe(cluster: string, items: readonly ItemProgress[]): void {
    const index = this.#parts.desired.current(cluster)?.document;
    if (index === undefined) {
      this.#tenants.delete(cluster);
      return;
    }
    const first = !this.#tenants.has(cluster);
    const tenant = this.#tenant(cluster);
    remember(tenant.issuedAtMs, `${index.epoch}.${index.sequence}`, Date.parse(index.issuedAt));
    const present = new Set<string>();
    for (const progress of items) {
      const { item, level } = progress;
      const key = `${itemKey(item)}@${item.version}`;
      present.add(key);
      this.#countRefusal(tenant, key, progress, first);
      const before = tenant.observed.get(key) ?? 0;
      if (level <= before) continue;
      tenant.observed.set(key, level);
      const issuedAtMs = tenant.issuedAtMs.get(`${index.epoch}.${item.version}`);
      if (first || issuedAtMs === undefined) continue;
      const seconds = Math.max(0, this.#parts.clock.now() - issuedAtMs) / 1000;
      for (const name of LEVELS.slice(before, level))
        this.#parts.metrics.observe("federation_commit_to_receipt_seconds", seconds, { level: name });
    }
    for (const known of [tenant.observed, tenant.refused])
      for (const key of known.keys()) if (!present.has(key)) known.delete(key);
  }

  #countRefusal(tenant: Remembered, key: string, { nack, stored }: ItemProgress, first: boolean): void {
    if (nack === undefined || stored === undefined) return;
    const { atUnixMs } = stored.report;
    if (tenant.refused.get(key) === atUnixMs) return;
    tenant.refused.set(key, atUnixMs);
    if (!first) this.#parts.metrics.count("federation_nacks_total", { class: nackClassText(nack.class) });
  }

  #tenant(cluster: string): Remembered {
    let tenant = this.#tenants.get(cluster);
    if (tenant === undefined) {
      tenant = { issuedAtMs: new Map(), observed: new Map(), refused: new Map() };
      this.#tenants.set(cluster, tenant);
    }
    return tenant;
  }
}

function remember(times: Map<string, number>, key: string, ms: number): void {
  times.set(key, ms);
  if (times.size <= MAX_REMEMBERED) return;
  const [oldest] = times.keys();
  if (oldest !== undefined) times.delete(oldest);
}
