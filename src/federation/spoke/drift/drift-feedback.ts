import type { DriftUpdate } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { findCondition } from "../../../api/conditions.ts";
import { packDriftSignalName } from "../../../api/names.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { HeldPacks } from "../items/pack/held-packs.ts";
import type { PackReceipts } from "../items/pack/pack-receipts.ts";

/** What {@link DriftFeedback} works with. */
export interface DriftFeedbackParts {
  readonly held: Pick<HeldPacks, "names">;
  readonly receipts: Pick<PackReceipts, "get" | "changeStatus">;
  readonly log: Log;
}

/** Signals whose newest word may wait at a time; the hub says all of them again on every new stream. */
const MAX_WAITING = 1_000;

/**
 * Shows on the tenant what the hub makes of its drift: a line in the log, and TerminalDrift on the PackReceipt while nobody corrects any
 * more. The newest word on a signal counts.
 */
export class DriftFeedback {
  readonly #parts: DriftFeedbackParts;
  readonly #waiting = new Map<string, DriftUpdate>();
  #working: Promise<void> | undefined;

  constructor(parts: DriftFeedbackParts) {
    this.#parts = parts;
  }

  readonly update = (update: DriftUpdate): void => {
    const { signalName, state, escalationCounter, terminal, message } = update;
    this.#parts.log.info(
      { signal: signalName, state, failedCorrections: escalationCounter, terminal, message },
      "drift signal moved",
    );
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(signalName)) return;
    this.#waiting.set(signalName, update);
    this.#working ??= this.#work();
  };

  /** Resolves when everything that was said so far is shown. */
  async settled(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    // One turn later, so that what arrives together is read together.
    await Promise.resolve();
    for (const [signalName, update] of this.#waiting) {
      this.#waiting.delete(signalName);
      try {
        await this.#show(update);
      } catch (error) {
        // The hub says it again with the next change or stream.
        this.#parts.log.warn({ signal: signalName, error: errorMessage(error) }, "drift feedback could not be shown");
      }
    }
    this.#working = undefined;
  }

  async #show({ signalName, terminal, message }: DriftUpdate): Promise<void> {
    const { held, receipts } = this.#parts;
    const pack = (await held.names()).find((name) => packDriftSignalName(name) === signalName);
    if (pack === undefined) return;
    const before = findCondition((await receipts.get(pack))?.status?.conditions, "TerminalDrift");
    if (!terminal && before === undefined) return;
    await receipts.changeStatus(pack, {
      conditions: [
        terminal
          ? { type: "TerminalDrift", status: "True", reason: "EscalationThresholdReached", message }
          : { type: "TerminalDrift", status: "False", reason: "Reset" },
      ],
    });
  }
}
