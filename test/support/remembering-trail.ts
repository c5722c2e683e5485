import type { AuditRecord, AuditTrail } from "../../src/api/audit-record.ts";

/** A trail that remembers what it was told. */
export class RememberingTrail implements AuditTrail {
  readonly records: AuditRecord[] = [];

  async record(record: AuditRecord): Promise<void> {
    this.records.push(record);
  }

  /** Those of one action, in order. */
  of(action: AuditRecord["action"]): readonly AuditRecord[] {
    return this.records.filter((record) => record.action === action);
  }
}
