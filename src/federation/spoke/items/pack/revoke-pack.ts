import { receiptReport } from "./receipt-report.ts";
import { floorName, type TenantPackParts } from "./tenant-pack-parts.ts";

/**
 * Revokes every version of a pack below a serial: the floor is durable first, then the receipt says so and drift
 * reporting for it stops. Workloads stay unless a tombstone follows.
 */
export async function revokePack(parts: TenantPackParts, packInstalled: string, minimumSerial: number): Promise<void> {
  await parts.floors.revokeBelow(floorName(packInstalled), minimumSerial);
  const receipt = await parts.receipts.get(packInstalled);
  if (receipt === undefined || (receipt.spec.serial ?? 0) >= minimumSerial) return;
  const written = await parts.receipts.changeStatus(packInstalled, {
    conditions: [
      {
        type: "Revoked",
        status: "True",
        reason: "RevocationPushed",
        message: `serial ${receipt.spec.serial ?? 0} is below the revocation floor ${minimumSerial}`,
      },
    ],
  });
  if (written?.changed === true) await parts.facts.packReceipt(receiptReport(written.receipt));
}
