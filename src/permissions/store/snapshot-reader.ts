import type { Floor } from "../../trust/floors/ordering.ts";
import type { DecisionCode } from "../decision/decision-code.ts";
import type { DeclaredGrant } from "../decision/trimmed-grants.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import type { SnapshotStatement } from "../snapshot/statement.ts";
import type { SnapshotState } from "./active-snapshot.ts";

/** What answers rest on: a verified snapshot on a tenant, what was just computed on the management cluster. Immutable. */
export interface HeldSnapshot {
  readonly statement: Pick<SnapshotStatement, "version" | "epoch" | "sequence" | "contentHash"> & {
    /** When it decides no more, Unix milliseconds; absent for what needs no renewal. */
    readonly expiresAtMs?: number;
  };
  readonly index: PermissionIndex;
  /** Of its position, for answers (permissions §11.1); empty while it has none. */
  readonly consistencyToken: string;
  /** True for content that is computed and not published yet (permissions §11.4). */
  readonly pending?: boolean;
  /** What page tokens hold on to; absent: the version of the statement. */
  readonly pin?: string;
  /** Key that verified the statement; absent for what was computed here. */
  readonly keyId?: string;
  /** Wall clock of the last verification, Unix milliseconds; absent for what was computed here. */
  readonly verifiedAtMs?: number;
}

/** Why there is no answer. */
export interface Refusal {
  readonly code: DecisionCode;
  /** For people. */
  readonly reason: string;
}

/** The permissions of one cluster as questions see them: read, never written. */
export interface SnapshotReader {
  readonly cluster: string;
  /** What answers questions now; undefined while there is nothing. Look at {@link state} before deciding. */
  readonly current: HeldSnapshot | undefined;
  /** Content before the current one, for page tokens; undefined when there was none. */
  readonly previous: HeldSnapshot | undefined;
  state(): SnapshotState;
  readonly floor: Floor;
  readonly trustedKeys: readonly string[];
  /** Why nothing about this cluster can be answered, whatever freshness says; absent: nothing stands against it. */
  readonly refusal?: Refusal | undefined;
  /** What profiles declare there before their ceilings; absent where that is not known. */
  readonly declared?: () => Iterable<DeclaredGrant>;
  /** Calls `listener` after every change. Listeners must not throw. Returns the way to stop. */
  subscribe(listener: () => void): () => void;
}
