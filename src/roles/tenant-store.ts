import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { DEFAULT_AUDIT_CAP } from "../federation/outbox/audit-log.ts";
import { OUTBOX_FILE } from "../federation/outbox/outbox.ts";
import { ReopeningOutbox } from "../federation/outbox/reopening-outbox.ts";
import { AuditLogHealth, type AuditLogHealthParts } from "../federation/spoke/status/audit-log-health.ts";
import type { LateFacts } from "./late-facts.ts";

/** What {@link openTenantStore} needs. */
export interface TenantStoreOptions {
  readonly directory: string;
  readonly auditCapBytes?: number;
  /** Epoch of a new log's numbering; default: the time. */
  readonly auditEpoch?: bigint;
  /** Waits for the store, bounded while it cannot be opened. */
  readonly facts: LateFacts;
  readonly told: AuditLogHealthParts["told"];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The agent's store, and what is known of the audit log in it. */
export interface TenantStore {
  readonly outbox: ReopeningOutbox;
  readonly health: AuditLogHealth;
}

/** Opens the agent's store as often as it takes; what is found damaged is put aside. Both are told. */
export function openTenantStore(options: TenantStoreOptions): TenantStore {
  const { directory, auditCapBytes, facts, told, clock, random, log, signal } = options;
  const path = join(directory, OUTBOX_FILE);
  const health = new AuditLogHealth({
    told,
    memory: () => ({ waiting: facts.waiting + outbox.waiting, missed: facts.missed + outbox.missed }),
    clock,
    signal,
  });
  const outbox = new ReopeningOutbox({
    directory,
    ...(auditCapBytes === undefined ? {} : { auditCap: { ...DEFAULT_AUDIT_CAP, capBytes: auditCapBytes } }),
    ...(options.auditEpoch === undefined ? {} : { auditEpoch: options.auditEpoch }),
    onRecovered: (recovery) => {
      log.error({ ...recovery }, "the agent's store was damaged: it was put aside, and another one goes on");
      health.recovered(recovery);
    },
    onQuarantined: (paths) => health.quarantined(paths),
    told: (unavailable) => {
      if (unavailable !== undefined) facts.bound(path);
      health.unavailable(unavailable);
    },
    clock,
    random,
    log,
    signal,
  });
  return { outbox, health };
}
