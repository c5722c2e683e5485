import type { SnapshotPosition } from "../../../src/permissions/snapshot/snapshot-version.ts";
import { comparePositions } from "../../../src/permissions/snapshot/snapshot-version.ts";
import type { SnapshotStatement } from "../../../src/permissions/snapshot/statement.ts";
import { must } from "../world.ts";
import type { Expected } from "./declared-permissions.ts";

/** What an onlooker knows of one tenant's disk: both only rise while the disk is whole. */
export interface TenantMarks {
  readonly position: SnapshotPosition;
  /** Lowest sequence that may answer. */
  readonly floor: number;
  /** What was in force last. */
  readonly statement: SnapshotStatement | undefined;
}

export const NO_MARKS: TenantMarks = { position: { epoch: 0, sequence: 0 }, floor: 0, statement: undefined };

interface Signed {
  readonly statements: Map<string, SnapshotStatement>;
  readonly contents: Map<string, Expected>;
  last: SnapshotStatement | undefined;
  ledger: (SnapshotPosition & { readonly contentHash: string }) | undefined;
  /** The management cluster came back from a backup: order and uniqueness are the tenants' to defend. */
  restored: boolean;
}

/**
 * Knows everything that was computed and signed, apart from the code that did it, and says whether what a signer publishes and what a
 * tenant answers from may be so.
 */
export class PermissionJudge {
  readonly #signed: Map<string, Signed> = new Map();

  #of(cluster: string): Signed {
    let signed = this.#signed.get(cluster);
    if (signed === undefined) {
      signed = { statements: new Map(), contents: new Map(), last: undefined, ledger: undefined, restored: false };
      this.#signed.set(cluster, signed);
    }
    return signed;
  }

  /** A signer computed content from what was declared. */
  computed(cluster: string, contentHash: string, expected: Expected): void {
    this.#of(cluster).contents.set(contentHash, expected);
  }

  /** The management cluster of a tenant is what a backup held. */
  restored(cluster: string): void {
    this.#of(cluster).restored = true;
  }

  last(cluster: string): SnapshotStatement | undefined {
    return this.#of(cluster).last;
  }

  expected(cluster: string, contentHash: string): Expected | undefined {
    return this.#of(cluster).contents.get(contentHash);
  }

  /** A position was given out. Equal content never gets another one, unless a revocation asks for it. */
  ledger(
    cluster: string,
    entry: SnapshotPosition & { readonly contentHash: string },
    floor: number,
    time: { readonly trueMs: number; readonly skewed: boolean },
  ): void {
    const signed = this.#of(cluster);
    const before = signed.ledger;
    signed.ledger = entry;
    // An epoch that was begun under a wrong clock is given up, and so is a right one under a wrong clock; tenants hold what they accepted.
    const wrongClock = time.skewed || (before !== undefined && before.epoch * 1000 > time.trueMs);
    if (before !== undefined && entry.epoch < before.epoch && wrongClock) signed.restored = true;
    if (before === undefined || signed.restored) return;
    const order = comparePositions(entry, before);
    must(order >= 0, `${cluster}: the ledger goes from ${text(before)} back to ${text(entry)}`);
    if (order === 0)
      must(entry.contentHash === before.contentHash, `${cluster}: ${text(entry)} is given to two contents`);
    else if (entry.epoch === before.epoch)
      must(
        entry.contentHash !== before.contentHash || floor > before.sequence,
        `${cluster}: equal content goes from ${text(before)} to ${text(entry)}`,
      );
  }

  /** A signer published a statement. */
  published(cluster: string, statement: SnapshotStatement): void {
    const signed = this.#of(cluster);
    const { last } = signed;
    const { version, contentHash } = statement;
    must(statement.cluster === cluster, `${cluster}: a statement for ${statement.cluster} is published`);
    must(signed.contents.has(contentHash), `${cluster}: ${version} is signed and was never computed`);
    const { ledger } = signed;
    must(
      ledger !== undefined && comparePositions(ledger, statement) >= 0,
      `${cluster}: ${version} is signed before its position is durable`,
    );
    must(statement.sequence >= statement.minSequence, `${cluster}: ${version} is signed below its own floor`);
    if (last !== undefined && !signed.restored) {
      const order = comparePositions(statement, last);
      must(order >= 0, `${cluster}: ${version} is signed after ${last.version}`);
      must(order !== 0 || last.contentHash === contentHash, `${cluster}: ${version} has two contents`);
      must(statement.minSequence >= last.minSequence, `${cluster}: the floor of ${version} goes down`);
    }
    signed.statements.set(keyOf(statement), statement);
    signed.last = statement;
  }

  /** What a tenant has in force: signed for it, unaltered, above its floor, and not older than before. */
  inForce(cluster: string, statement: SnapshotStatement, foundHash: string, marks: TenantMarks): Expected {
    const { statements, contents } = this.#of(cluster);
    const { version } = statement;
    must(statements.has(keyOf(statement)), `${cluster}: ${version} is in force and nobody signed it`);
    must(foundHash === statement.contentHash, `${cluster}: ${version} is in force with content ${foundHash}`);
    must(
      statement.sequence >= marks.floor,
      `${cluster}: ${version} is in force below the floor ${marks.floor} that was put in force`,
    );
    must(
      comparePositions(statement, marks.position) >= 0,
      `${cluster}: ${version} is in force after ${text(marks.position)}`,
    );
    const expected = contents.get(statement.contentHash);
    must(expected !== undefined, `${cluster}: ${version} is in force and was never computed`);
    return expected;
  }

  /** Whether a snapshot of that age may decide, and as what. */
  freshness(
    ageMs: number,
    limits: { readonly freshnessWindowSeconds: number; readonly maxOfflineSeconds: number },
  ): "FRESH" | "STALE" | "EXPIRED" {
    if (ageMs > limits.maxOfflineSeconds * 1000) return "EXPIRED";
    return ageMs > limits.freshnessWindowSeconds * 1000 ? "STALE" : "FRESH";
  }
}

function keyOf({ version, issuedAtMs, keyId, minSequence }: SnapshotStatement): string {
  return `${version} ${issuedAtMs} ${keyId} ${minSequence}`;
}

function text({ epoch, sequence }: SnapshotPosition): string {
  return `e${epoch}.s${sequence}`;
}
