import { Nack_Class } from "../../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { errorMessage } from "../../../../base/errors.ts";
import type { KeyLookup } from "../../../../trust/dsse.ts";
import { PAYLOAD_TYPES } from "../../../../trust/dsse.ts";
import type { FloorFile } from "../../../../trust/floors/floor-file.ts";
import { type GovernanceBody, governanceItemName, parseGovernance } from "../../../governance/governance-body.ts";
import type { ItemContext, ItemHandler, ItemOutcome } from "../../ports.ts";
import { verifySigned } from "../pack/verify-manifest.ts";
import { type GovernanceMirror, ObjectRefused } from "./governance-mirror.ts";

/** What the handler works with. */
export interface GovernanceHandlerParts {
  readonly keys: KeyLookup;
  readonly floors: Pick<FloorFile, "accept">;
  readonly mirror: GovernanceMirror;
}

const DONE: ItemOutcome = { ok: true };
/** Objects are ordered by serial alone, so their floors have one epoch. */
const EPOCH = 1;

/** Handles items of kind Governance: objects of the management cluster that this tenant holds a read-only copy of (conductor §8). */
export class GovernanceHandler implements ItemHandler {
  readonly kind = "Governance";
  readonly #parts: GovernanceHandlerParts;

  constructor(parts: GovernanceHandlerParts) {
    this.#parts = parts;
  }

  async verify(context: ItemContext): Promise<ItemOutcome> {
    const read = await this.#read(context, false);
    return "nack" in read ? read : DONE;
  }

  async apply(context: ItemContext): Promise<ItemOutcome> {
    const read = await this.#read(context, false);
    if ("nack" in read) return read;
    try {
      await this.#parts.mirror.hold(read);
    } catch (error) {
      if (error instanceof ObjectRefused) return refuse(Nack_Class.INVALID, "OBJECT_REFUSED", error.message);
      throw error;
    }
    return DONE;
  }

  /** It is what it is from the write on; whoever changes it is corrected at once. */
  async healthy(): Promise<ItemOutcome> {
    return DONE;
  }

  async remove(context: ItemContext): Promise<ItemOutcome> {
    const read = await this.#read(context, true);
    if ("nack" in read) return read;
    await this.#parts.mirror.release(read);
    return DONE;
  }

  async #read(context: ItemContext, deleted: boolean): Promise<GovernanceBody | Extract<ItemOutcome, { ok: false }>> {
    const signed = verifySigned(context.body, PAYLOAD_TYPES.governance, this.#parts.keys);
    if (!signed.ok) return signed;
    let body: GovernanceBody;
    try {
      body = parseGovernance(signed.body);
    } catch (error) {
      return refuse(Nack_Class.INVALID, "BodyInvalid", errorMessage(error));
    }
    const { name } = context.item;
    if (body.cluster !== context.cluster)
      return refuse(Nack_Class.UNTRUSTED, "WRONG_CLUSTER", `the object is for cluster ${body.cluster}`);
    if (governanceItemName(body) !== name || body.deleted !== deleted)
      return refuse(Nack_Class.UNTRUSTED, "WRONG_ITEM", `the body is of ${governanceItemName(body)}`);
    const offered = { epoch: EPOCH, sequence: body.serial, digest: signed.bodyDigest };
    const verdict = await this.#parts.floors.accept(`Governance/${name}`, offered);
    if (verdict.verdict === "refused") return refuse(Nack_Class.UNTRUSTED, verdict.code, verdict.detail);
    return body;
  }
}

function refuse(classOf: Nack_Class, reason: string, detail: string): Extract<ItemOutcome, { ok: false }> {
  return { ok: false, nack: { class: classOf, retryable: false, reason, detail } };
}
