import { errorMessage } from "../../../../base/errors.ts";
import { awaitPackReady } from "../../../../packs/apply/apply-pack.ts";
import { type Correction, correctionId, parseCorrection } from "../../../../packs/manifest/correction.ts";
import { PAYLOAD_TYPES } from "../../../../trust/dsse.ts";
import type { ItemContext, ItemHandler, ItemOutcome } from "../../ports.ts";
import type { HeldPack } from "./held-packs.ts";
import { DONE, type Refusal, refuse, refuseApply } from "./nacks.ts";
import { type PackHandler, timeoutMs } from "./pack-handler.ts";
import type { TenantPackParts } from "./tenant-pack-parts.ts";
import { verifySigned } from "./verify-manifest.ts";

/** Handles items of kind Correction: applies the held pack again and reports the outcome with the next drift report (conductor §9.5). */
export class CorrectionHandler implements ItemHandler {
  readonly kind = "Correction";
  readonly #parts: TenantPackParts;
  readonly #packs: PackHandler;

  constructor(parts: TenantPackParts, packs: PackHandler) {
    this.#parts = parts;
    this.#packs = packs;
  }

  async verify(context: ItemContext): Promise<ItemOutcome> {
    const read = await this.#read(context);
    return "nack" in read ? read : DONE;
  }

  async apply(context: ItemContext): Promise<ItemOutcome> {
    const read = await this.#read(context);
    if ("nack" in read) return read;
    const { correction, pack } = read;
    const id = correctionId(correction);
    this.#parts.log.info(
      { pack: correction.packInstalled, correction: id },
      "correcting drift: applying the held pack again",
    );
    let outcome: ItemOutcome;
    try {
      outcome = await this.#parts.attempts.run(correction.packInstalled, () => this.#packs.applyHeld(pack, context));
    } catch (error) {
      if (context.signal.aborted) throw error;
      outcome = refuseApply(error);
    }
    const ended = { id, applied: outcome.ok, error: outcome.ok ? "" : outcome.nack.detail };
    // Durable before the item counts as handled: the hub waits for the outcome, and a crash here must not lose it.
    await this.#parts.receipts.recordCorrection(correction.packInstalled, ended);
    await this.#parts.attempts.ended({ packInstalled: correction.packInstalled, correction: ended });
    // The attempt is over, whatever came of it: the hub decides about another one, under a new number.
    return outcome.ok ? DONE : { ok: false, nack: { ...outcome.nack, retryable: false } };
  }

  async healthy(context: ItemContext): Promise<ItemOutcome> {
    const read = await this.#read(context);
    if ("nack" in read) return read;
    const { manifest, documents } = read.pack;
    try {
      const inventory = (await this.#parts.receipts.get(manifest.name))?.spec.deployedResources ?? [];
      await awaitPackReady(this.#packs.applyParts(context), manifest.name, documents, inventory, timeoutMs(manifest));
      return DONE;
    } catch (error) {
      if (context.signal.aborted) throw error;
      return refuseApply(error);
    }
  }

  /** A correction that is over leaves nothing to remove. */
  remove(): Promise<ItemOutcome> {
    return Promise.resolve(DONE);
  }

  async #read(context: ItemContext): Promise<Refusal | { readonly correction: Correction; readonly pack: HeldPack }> {
    const signed = verifySigned(context.body, PAYLOAD_TYPES.correction, this.#parts.keys);
    if (!signed.ok) return signed;
    let correction: Correction;
    try {
      correction = parseCorrection(signed.body);
    } catch (error) {
      return refuse("INVALID", "BodyInvalid", errorMessage(error));
    }
    if (correction.cluster !== context.cluster)
      return refuse("UNTRUSTED", "WRONG_CLUSTER", `the correction is for cluster ${correction.cluster}`);
    if (correction.packInstalled !== context.item.name)
      return refuse("UNTRUSTED", "WRONG_ITEM", `the correction is for ${correction.packInstalled}`);
    const pack = await this.#parts.held.load(correction.packInstalled, "accepted");
    const held = pack?.manifest.serial ?? 0;
    if (pack === undefined || held < correction.serial)
      return refuse("BUSY", "PACK_NOT_HELD", `serial ${correction.serial} is not verified yet, held is ${held}`, true);
    if (held > correction.serial)
      return refuse("UNTRUSTED", "SUPERSEDED", `serial ${correction.serial} was replaced by ${held}`);
    return { correction, pack };
  }
}
