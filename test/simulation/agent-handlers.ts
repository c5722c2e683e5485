import { Nack_Class } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { itemKey } from "../../src/federation/index/index-document.ts";
import { forEachBody } from "../../src/federation/index/plan-index.ts";
import type { HandlerPhase, SpokeEffect } from "../../src/federation/session/spoke/effects.ts";
import type { ItemLevel } from "../../src/federation/session/spoke/record.ts";
import type { ItemNack } from "../../src/federation/spoke/ports.ts";
import { type AgentShell, afterwards } from "./agent-shell.ts";
import { storedDocument } from "./stored-document.ts";
import { must } from "./world.ts";

/** The handlers of one simulated agent: phases of items that run on its tenant for a while, and what must be true when one starts. */
export class AgentHandlers {
  readonly #shell: AgentShell;
  readonly #aborted: Set<number> = new Set();
  /** How to end each handler that runs, before its time. */
  readonly #running: Map<number, () => void> = new Map();
  /** Phases run so far. */
  count = 0;
  /** Called when a phase of an item starts. */
  onHandler: (key: string, phase: HandlerPhase) => void = () => {};

  constructor(shell: AgentShell) {
    this.#shell = shell;
  }

  /** The process died. */
  ended(): void {
    this.#aborted.clear();
    this.#running.clear();
  }

  /** A handler is asked to end. */
  abort(token: number): void {
    const { tenant, world, process } = this.#shell;
    this.#aborted.add(token);
    // Some handlers look at their signal, and those that wait for health always do.
    if (tenant.healthMs !== undefined || world.chance(0.3)) process.after(5, () => this.#running.get(token)?.());
  }

  /** Starts a phase. */
  run(effect: Extract<SpokeEffect, { type: "RunHandler" }>): void {
    const { token, phase, item } = effect;
    const world = this.#shell.world;
    const key = itemKey(item);
    this.count++;
    this.#checkMayRun(effect);
    this.onHandler(key, phase);
    const healthMs = this.#shell.tenant.healthMs ?? world.between(5, 1_500);
    const delayMs = phase === "healthy" ? healthMs : world.between(1, 120);
    const done = (refused: ItemNack | undefined): void => {
      const aborted = this.#aborted.delete(token);
      const nack =
        refused ??
        (aborted && world.chance(0.5) ? abortedNack() : this.#shell.tenant.run(phase, item, world.chance(0.5)));
      world.trace(
        this.#shell.cluster,
        () => `${phase} ${key}@${item.version} ${nack === undefined ? "ok" : nack.reason}`,
      );
      if (nack === undefined && phase === "apply") this.#shell.fact(item.name);
      this.#shell.step({ type: "HandlerDone", token, nack });
    };
    const room = this.#shell.room();
    const end = (): void => {
      if (!this.#running.delete(token)) return;
      if (room?.handles(item) !== true) done(undefined);
      else
        afterwards(
          this.#shell,
          room.run(phase, item, (digest) => this.#heldBody(digest)),
          done,
        );
    };
    this.#running.set(token, end);
    this.#shell.process.after(delayMs, end);
  }

  #heldBody(digest: string): Uint8Array {
    const blob = this.#shell.store.blobs.get(digest);
    // A handler that outlived its item: superseded, and its bodies are gone.
    if (blob?.checked !== true) throw new Error(`${digest} is not held`);
    return blob.data;
  }

  /** The version must be durable with its bodies when a phase starts, and what the phase does must not be recorded already. */
  #checkMayRun(effect: Extract<SpokeEffect, { type: "RunHandler" }>): void {
    const { phase, item } = effect;
    const key = itemKey(item);
    const record = this.#shell.store.items.get(key);
    must(record !== undefined, `${this.#shell.cluster}: ${phase} of ${key} without a durable record`);
    this.#checkFloors(phase, key);
    if (record.item.version !== item.version) return; // superseded between the step and the commit of a later one
    must(
      MAY_START_AT[phase].includes(record.level),
      `${this.#shell.cluster}: ${phase} of ${key} at durable level ${record.level}`,
    );
    must(record.quarantinedBy !== this.#shell.agentVersion(), `${this.#shell.cluster}: ${phase} of quarantined ${key}`);
    forEachBody(item, (digest) => {
      must(
        this.#shell.store.blobs.get(digest)?.checked === true,
        `${this.#shell.cluster}: ${phase} of ${key} without body ${digest}`,
      );
    });
  }

  /** Nothing of an index takes effect before its revocation floors are in force. */
  #checkFloors(phase: string, key: string): void {
    const stored = this.#shell.store.index;
    // Readys that shared a commit: what the earlier one starts is older than the index that the later one stored.
    if (this.#shell.shared()) return;
    if (phase === "healthy" || stored === undefined) return;
    for (const { target, name, floor } of storedDocument(stored).revocations)
      must(
        this.#shell.tenant.floor(target, name) >= floor,
        `${this.#shell.cluster}: ${phase} of ${key} before floor ${floor} of ${target}/${name} is in force`,
      );
  }
}

/** Levels that may be the durable one when a phase starts: a phase does not wait for the record of the one before. */
const MAY_START_AT: Readonly<Record<HandlerPhase, readonly ItemLevel[]>> = {
  verify: ["received"],
  apply: ["received", "verified"],
  healthy: ["received", "verified", "applied"],
  remove: ["pending"],
};

function abortedNack(): ItemNack {
  return { class: Nack_Class.INTERNAL, retryable: true, reason: "ABORTED", detail: "superseded" };
}
