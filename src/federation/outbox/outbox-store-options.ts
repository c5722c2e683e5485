import type { AuditCap } from "./audit-log.ts";

/** What a store is opened with. */
export interface OutboxStoreOptions {
  /** Database file; `:memory:` for benches and simulations that state so. */
  readonly path: string;
  /** Used when the store is created: a new store id. */
  readonly storeId: string;
  /** Used when the store is created: epoch of the audit numbering, Unix seconds. */
  readonly auditEpoch: bigint;
  readonly auditCap?: AuditCap;
  /** Most bytes of bodies; default 4 GiB. */
  readonly blobCapBytes?: number;
  /** Most bytes of the database file; 0 or absent: what the caps allow. */
  readonly maxDatabaseBytes?: number;
}
