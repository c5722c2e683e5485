import type { Clock } from "../../base/clock.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { DesiredStates } from "../../federation/hub/ports.ts";
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
}

/** Feeds the histogram from signing to receipt, per level (lessons §12.2). What was at rest when it started is not observed. */
export class CommitToReceipt {
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
    for (const { item, level } of items) {
      const key = `${itemKey(item)}@${item.version}`;
      present.add(key);
      const before = tenant.observed.get(key) ?? 0;
      if (level <= before) continue;
      tenant.observed.set(key, level);
      const issuedAtMs = tenant.issuedAtMs.get(`${index.epoch}.${item.version}`);
      if (first || issuedAtMs === undefined) continue;
      const seconds = Math.max(0, this.#parts.clock.now() - issuedAtMs) / 1000;
      for (const name of LEVELS.slice(before, level))
        this.#parts.metrics.observe("federation_commit_to_receipt_seconds", seconds, { level: name });
    }
    for (const key of tenant.observed.keys()) if (!present.has(key)) tenant.observed.delete(key);
  }

  #tenant(cluster: string): Remembered {
    let tenant = this.#tenants.get(cluster);
    if (tenant === undefined) {
      tenant = { issuedAtMs: new Map(), observed: new Map() };
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
