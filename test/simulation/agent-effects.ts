import type { SpokeEffect } from "../../src/federation/session/spoke/effects.ts";
import type { AgentHandlers } from "./agent-handlers.ts";
import { type AgentShell, afterwards } from "./agent-shell.ts";
import type { AgentStreams } from "./agent-streams.ts";
import { must } from "./world.ts";

/** What a simulated agent does for its machine: streams, handlers, reading its store, revocations and floors, each in its time. */
export class AgentEffects {
  readonly #shell: AgentShell;
  readonly #streams: AgentStreams;
  readonly #handlers: AgentHandlers;
  /** Requests asked and not answered: each must be answered once. */
  readonly requests: Set<string> = new Set();
  /** Newest state that this process has heard of each drift signal. */
  readonly drifts: Map<string, number> = new Map();
  /** Called when the index in force ran out, or is fresh again. */
  onFreshness: (expired: boolean) => void = () => {};

  constructor(shell: AgentShell, streams: AgentStreams, handlers: AgentHandlers) {
    this.#shell = shell;
    this.#streams = streams;
    this.#handlers = handlers;
  }

  /** Does what one effect says. */
  perform(effect: SpokeEffect): void {
    const world = this.#shell.world;
    switch (effect.type) {
      case "Dial":
        this.#streams.dial(effect.generation, effect.endpoints);
        return;
      case "Send":
        this.#streams.send(effect.generation, effect.frame);
        return;
      case "Destroy":
        this.#streams.destroy(effect);
        return;
      case "RunHandler":
        this.#handlers.run(effect);
        return;
      case "AbortHandler":
        this.#handlers.abort(effect.token);
        return;
      case "CheckBlob": {
        const { digest } = effect;
        this.#shell.process.after(world.between(1, 10), () => {
          const blob = this.#shell.store.blobs.get(digest);
          this.#shell.step({
            type: "BlobChecked",
            digest,
            ok: blob !== undefined && this.#shell.store.isBody(digest, blob.data),
          });
        });
        return;
      }
      case "LoadFacts": {
        const { token, keys } = effect;
        this.#shell.process.after(world.between(0, 3), () =>
          this.#shell.step({ type: "FactsLoaded", token, facts: this.#shell.store.loadFacts(keys) }),
        );
        return;
      }
      case "ListFacts":
        this.#shell.process.after(world.between(0, 3), () => {
          for (const fact of this.#shell.store.record().facts) this.#shell.step({ type: "FactPending", fact });
        });
        return;
      case "LoadAudit": {
        const { token, from, maxEvents, maxBytes } = effect;
        this.#shell.process.after(world.between(0, 3), () => {
          const { batch, bytes } = this.#shell.store.loadAudit(from, maxEvents, maxBytes);
          this.#shell.step({ type: "AuditLoaded", token, batch, bytes });
        });
        return;
      }
      case "Revoke": {
        const { serial, target, minSequence } = effect.push;
        must(
          serial > this.#shell.store.revocationSerial,
          `${this.#shell.cluster}: revocation ${serial} is put in force twice`,
        );
        const applied = this.#shell.tenant.revokes(world.chance(0.1));
        const done = (): void => {
          if (applied) this.#shell.tenant.revoked.add(serial);
          this.#shell.step({ type: "RevokeDone", serial, applied, detail: "" });
        };
        const room = this.#shell.room();
        this.#shell.process.after(world.between(1, 30), () => {
          if (!applied || room === undefined || target === "PackInstalled") done();
          else afterwards(this.#shell, room.revokeBelow(Number(minSequence)), done);
        });
        return;
      }
      case "EnforceFloors": {
        const { token, floors } = effect;
        const ok = !world.chance(0.1);
        const done = (): void => {
          for (const floor of ok ? floors : []) {
            this.#shell.tenant.raiseFloor(floor);
            for (const serial of this.#shell.hub.store(this.#shell.cluster).coveredBy(floor))
              this.#shell.tenant.revoked.add(serial);
          }
          this.#shell.step({ type: "FloorsEnforced", token, ok });
        };
        const room = this.#shell.room();
        this.#shell.process.after(world.between(1, 30), () => {
          const raised = floors.filter(({ target }) => target !== "PackInstalled");
          if (!ok || room === undefined || raised.length === 0) done();
          else afterwards(this.#shell, Promise.all(raised.map(({ floor }) => room.revokeBelow(floor))), done);
        });
        return;
      }
      case "IndexFreshness":
        this.onFreshness(effect.expired);
        world.trace(this.#shell.cluster, () => `index ${effect.expired ? "ran out" : "is fresh again"}`);
        return;
      case "Response":
        must(
          this.requests.delete(effect.response.value.requestId),
          `${this.#shell.cluster}: a request is answered twice`,
        );
        return;
      case "RequestFailed":
        must(this.requests.delete(effect.requestId), `${this.#shell.cluster}: a request is answered twice`);
        return;
      case "IndexJudged":
        world.trace(
          this.#shell.cluster,
          () => `index ${effect.sequence} ${effect.accepted ? "accepted" : `refused: ${effect.code}`}`,
        );
        return;
      case "ChannelChanged":
        world.trace(
          this.#shell.cluster,
          () => `channel ${effect.connected ? "connected" : `degraded: ${effect.reason}`}`,
        );
        return;
      case "AuditMoved":
        this.#shell.world.trace(
          this.#shell.cluster,
          () => `moves its audit log behind ${effect.behind}, by ${effect.by}`,
        );
        return;
      case "AuditRefused":
        must(
          this.#shell.hub.store(this.#shell.cluster).forked,
          `${this.#shell.cluster}: the sink refused audit numbers`,
        );
        return;
      case "DriftUpdated":
        this.drifts.set(effect.update.signalName, effect.update.escalationCounter);
        return;
      case "FactRefused":
        return;
    }
  }
}
