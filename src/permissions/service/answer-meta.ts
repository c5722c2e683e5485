import { Freshness } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { SnapshotState } from "../store/active-snapshot.ts";
import type { HeldSnapshot } from "../store/snapshot-reader.ts";

/** `meta` of one answer, as the published message takes it. */
export interface AnswerMeta {
  readonly snapshotVersion: string;
  readonly epoch: bigint;
  readonly sequence: bigint;
  readonly contentHash: string;
  readonly freshness: Freshness;
  readonly ageSeconds: bigint;
  readonly decisionId: string;
  readonly consistencyToken: string;
  readonly insecure: boolean;
  readonly pending: boolean;
}

/**
 * Makes `meta` of answers (permissions §11.1). What changes only with the snapshot or with the second is converted once: there is one
 * for every decision.
 */
export class AnswerMetas {
  #snapshot: HeldSnapshot | undefined;
  #pending = false;
  #version = "";
  #epoch = 0n;
  #sequence = 0n;
  #seconds = -1;
  #ageSeconds = 0n;

  /** For an answer of this moment; without a snapshot its fields are empty. */
  of(snapshot: HeldSnapshot | undefined, state: SnapshotState, decisionId: string): AnswerMeta {
    if (snapshot !== this.#snapshot) {
      this.#snapshot = snapshot;
      // What is not published has no position yet; that of the one before would be taken for its own.
      this.#pending = snapshot?.pending === true;
      this.#version = snapshot === undefined || this.#pending ? "" : snapshot.statement.version;
      this.#epoch = BigInt((this.#pending ? 0 : snapshot?.statement.epoch) ?? 0);
      this.#sequence = BigInt((this.#pending ? 0 : snapshot?.statement.sequence) ?? 0);
    }
    const seconds = Math.floor(state.ageMs / 1000);
    if (seconds !== this.#seconds) {
      this.#seconds = seconds;
      this.#ageSeconds = BigInt(seconds);
    }
    return {
      snapshotVersion: this.#version,
      epoch: this.#epoch,
      sequence: this.#sequence,
      contentHash: snapshot === undefined ? "" : snapshot.statement.contentHash,
      freshness: Freshness[state.freshness],
      ageSeconds: this.#ageSeconds,
      decisionId,
      consistencyToken: snapshot === undefined ? "" : snapshot.consistencyToken,
      insecure: false,
      pending: this.#pending,
    };
  }
}
