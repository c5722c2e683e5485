import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import type { PackInstalled } from "../../api/kinds/pack-installed.ts";
import type { PackReceipt } from "../../api/kinds/pack-receipt.ts";
import { progressText, reportAbout } from "../delivery-progress.ts";

/** How the current attempt of a delivery stands, from what the tenant reported (pull mode). */
export type Outcome =
  | { readonly state: "waiting"; readonly message: string }
  | { readonly state: "delivered"; readonly receipt: PackReceipt }
  | {
      readonly state: "refused";
      readonly category: FailureCategory;
      readonly reason: string;
      readonly failedStep: string;
    };

/** Categories of resources-seam §5.1 that a refusal by an agent can have. */
export type FailureCategory = "ValidationFailure" | "CapabilityUnavailable" | "ExecutionFailure" | "InvariantViolation";

/** Which manifest an attempt is about: the signer says so beside the serial. */
export function attemptId(execution: PackExecution): string {
  return `${execution.metadata.uid ?? ""}/${execution.status?.attempts ?? 0}`;
}

/**
 * Judges an attempt. Only a report about exactly the manifest that was signed for this attempt counts; anything older says nothing
 * about it (dispatcher §5.5). Pure.
 */
export function outcomeOf(
  execution: PackExecution,
  installed: PackInstalled | undefined,
  receipt: PackReceipt | undefined,
): Outcome {
  const { serial, manifestDigest, signedFor } = installed?.status ?? {};
  if (serial === undefined || manifestDigest === undefined || signedFor !== attemptId(execution))
    return { state: "waiting", message: "waits for the signed manifest" };
  if (receipt === undefined) return { state: "waiting", message: "waits for the tenant's first report" };
  const { deliveryState } = receipt.status ?? {};
  const about = reportAbout(receipt, manifestDigest);
  const accepted =
    receipt.spec.serial === serial &&
    receipt.spec.manifestDigest === manifestDigest &&
    receipt.status?.verified === true &&
    receipt.status.acknowledged === true;
  if (accepted && (deliveryState === "Healthy" || about?.level === "Healthy")) return { state: "delivered", receipt };
  if (about?.nack?.retryable === false) {
    const { reason, detail } = about.nack;
    return {
      state: "refused",
      category: categoryOf(about.nack.class),
      reason: detail === undefined || detail === "" ? reason : `${reason}: ${detail}`,
      failedStep: stepAfter(about.level),
    };
  }
  return { state: "waiting", message: progressText(about) };
}

function categoryOf(refusal: string): FailureCategory {
  switch (refusal) {
    case "Invalid":
    case "Untrusted":
      return "ValidationFailure";
    case "Unsupported":
      return "CapabilityUnavailable";
    case "Internal":
      return "InvariantViolation";
    default:
      return "ExecutionFailure";
  }
}

/** The step that failed is the one after the level that was reached. */
function stepAfter(level: string | undefined): string {
  switch (level) {
    case undefined:
      return "receive";
    case "Received":
      return "verify";
    case "Verified":
      return "apply";
    default:
      return "ready";
  }
}
