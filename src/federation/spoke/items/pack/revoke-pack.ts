import { isTrue } from "../../../../api/conditions.ts";
import { type Refusal, refuse } from "./nacks.ts";
import { receiptReport } from "./receipt-report.ts";
import { floorName, type TenantPackParts } from "./tenant-pack-parts.ts";

/**
 * Revokes every version of a pack below a serial: the floor is durable first, then an attempt that runs is stopped and
 * the held copies below the floor are let go, so that nothing of them is applied, corrected or compared with any more. Workloads stay
 * unless a tombstone follows. The receipt says so afterwards ({@link markRevoked}).
 */
export async function revokePack(
  parts: Pick<TenantPackParts, "floors" | "held" | "attempts">,
  packInstalled: string,
  minimumSerial: number,
): Promise<void> {
  await parts.floors.revokeBelow(floorName(packInstalled), minimumSerial);
  if (revokedRefusal(parts, packInstalled) !== undefined)
    await parts.attempts.stop(packInstalled, new Error(`serials below ${minimumSerial} are revoked`));
  await parts.held.dropBelow(packInstalled, minimumSerial);
}

/** The refusal of what was accepted last, when that lies below the revocation floor. */
export function revokedRefusal(
  { floors }: Pick<TenantPackParts, "floors">,
  packInstalled: string,
): Refusal | undefined {
  const { accepted, minimumSequence } = floors.get(floorName(packInstalled));
  if (accepted === undefined || accepted.sequence >= minimumSequence) return undefined;
  return refuse(
    "UNTRUSTED",
    "REVOKED",
    `serial ${accepted.sequence} is below the revocation floor ${minimumSequence}; a newer version is awaited`,
  );
}

/** Says in the receipt of a pack that its version is revoked, or not any more, and reports it. Idempotent. */
export async function markRevoked(parts: TenantPackParts, packInstalled: string): Promise<void> {
  const { minimumSequence } = parts.floors.get(floorName(packInstalled));
  const receipt = await parts.receipts.get(packInstalled);
  if (receipt === undefined) return;
  const serial = receipt.spec.serial ?? 0;
  const revoked = serial < minimumSequence;
  if (!revoked && !isTrue(receipt.status?.conditions, "Revoked")) return;
  const written = await parts.receipts.changeStatus(packInstalled, {
    conditions: [
      {
        type: "Revoked",
        status: revoked ? "True" : "False",
        reason: revoked ? "RevocationPushed" : "NewerSerial",
        message: `serial ${serial} is ${revoked ? "below" : "at or above"} the revocation floor ${minimumSequence}`,
      },
    ],
  });
  if (written?.changed === true) await parts.facts.packReceipt(receiptReport(written.receipt));
}
