import { errorMessage } from "../../../../base/errors.ts";
import { awaitPackReady } from "../../../../packs/apply/apply-pack.ts";
import { type Correction, correctionId, parseCorrection } from "../../../../packs/manifest/correction.ts";
import { PAYLOAD_TYPES } from "../../../../trust/dsse.ts";
import type { ItemContext, ItemHandler, ItemOutcome } from "../../ports.ts";
import type { HeldPack } from "./held-packs.ts";
import { DONE, type Refusal, refuse, refuseApply } from "./nacks.ts";
import { revokedRefusal } from "./revoke-pack.ts";
import { type PackHandler, timeoutMs } from "./pack-handler.ts";
import type { TenantPackParts } from "./tenant-pack-parts.ts";
import { verifySigned } from "./verify-manifest.ts";

type ReadCorrection =
  | (Refusal & { readonly superseded?: Correction })
  | { readonly correction: Correction; readonly pack: HeldPack };

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
    if (!("nack" in read)) return DONE;
    // The hub waits for the end of this attempt, and a newer version has already ended it.
    if (read.superseded !== undefined) await this.#end(read.superseded, { ok: false, nack: read.nack });
    return { ok: false, nack: read.nack };
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
      outcome = await this.#parts.attempts.run(correction.packInstalled, (stopped) =>
        this.#packs.applyHeld(pack, context, stopped),
      );
    } catch (error) {
      if (context.signal.aborted) throw error;
      outcome = refuseApply(error);
    }
    await this.#end(correction, outcome);
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

  /** Durable before the item counts as handled: the hub waits for the outcome, and a crash here must not lose it. */
  async #end(correction: Correction, outcome: ItemOutcome): Promise<void> {
    const { packInstalled } = correction;
    const ended = { id: correctionId(correction), applied: outcome.ok, error: outcome.ok ? "" : outcome.nack.detail };
    await this.#parts.receipts.recordCorrection(packInstalled, ended);
    await this.#parts.attempts.ended({ packInstalled, correction: ended });
  }

  async #read(context: ItemContext): Promise<ReadCorrection> {
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
    const revoked = revokedRefusal(this.#parts, correction.packInstalled);
    if (revoked !== undefined) return { ...revoked, superseded: correction };
    const pack = await this.#parts.held.load(correction.packInstalled, "accepted");
    const held = pack?.manifest.serial ?? 0;
    if (pack === undefined || held < correction.serial)
      return refuse("BUSY", "PACK_NOT_HELD", `serial ${correction.serial} is not verified yet, held is ${held}`, true);
    if (held > correction.serial)
      return {
        ...refuse("UNTRUSTED", "SUPERSEDED", `serial ${correction.serial} was replaced by ${held}`),
        superseded: correction,
      };
    return { correction, pack };
  }
}
