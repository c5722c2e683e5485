import type { PackReceipt, PackReceiptDelivery } from "../api/kinds/pack-receipt.ts";

/** What the tenant reported about exactly the manifest of this digest; undefined when it spoke of another or of none. */
export function reportAbout(
  receipt: PackReceipt | undefined,
  manifestDigest: string | undefined,
): PackReceiptDelivery | undefined {
  const delivery = receipt?.status?.delivery;
  return delivery?.digest === manifestDigest ? delivery : undefined;
}

/** How far it is and what it waits for, for people. */
export function progressText(about: PackReceiptDelivery | undefined): string {
  if (about?.nack !== undefined) {
    const { reason, detail = "", retryable } = about.nack;
    const why = detail === "" ? reason : `${reason}: ${detail}`;
    return retryable ? `the tenant tries again: ${why}` : `the tenant refuses it: ${why}`;
  }
  if (about?.waitingFor !== undefined && about.waitingFor !== "") return `the tenant waits for ${about.waitingFor}`;
  return about?.level === undefined ? "offered to the tenant" : `${about.level} by the tenant`;
}
