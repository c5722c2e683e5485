import { create } from "@bufbuild/protobuf";
import { ItemReport_Level as Level } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  type RetryItemResponse,
  RetryItemResponseSchema,
  RetryItemResponse_Outcome as Outcome,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { rfc3339Seconds } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { RunningRetryOrders } from "../../federation/hub/retries/retry-orders.ts";
import { EARLY_RETRY_MS } from "../../federation/session/hub/retry-order.ts";
import { isDone } from "./explain.ts";
import type { ItemProgress } from "./item-levels.ts";

/** What an order for a retry depends on. */
export interface RetryInput {
  readonly cluster: string;
  readonly progress: ItemProgress;
  /** Whether any replica serves the agent, and when it was heard last. */
  readonly contact: { readonly connected: boolean; readonly lastSeenMs: number | undefined };
}

/**
 * Orders a retry of what an agent refused, and says what happens then. What takes effect or is tried again by itself needs no order; what is
 * still on its way gets one that waits for a refusal, since the agent's word may be slower than the operator's hand.
 *
 * @throws GrpcStatusError RESOURCE_EXHAUSTED when too many orders wait for this agent, UNAVAILABLE when the order could not be stored
 */
export async function orderRetry(
  orders: Pick<RunningRetryOrders, "order">,
  input: RetryInput,
): Promise<RetryItemResponse> {
  const { cluster, progress, contact } = input;
  const { kind, name, digest } = progress.item;
  const text = `${kind}/${name} on ${cluster}`;
  const nothing = nothingToRetry(progress);
  if (nothing !== "") return answer(Outcome.NOT_REFUSED, `${text} ${nothing}`);
  try {
    await orders.order(cluster, { kind, name, digest });
  } catch (error) {
    throw notOrdered(text, error);
  }
  if (!progress.quarantined)
    return answer(
      Outcome.WAITS_FOR_REFUSAL,
      `${text} is not refused, as far as the hub knows: it is ${stateOf(progress)}. If the agent refuses this content within ${EARLY_RETRY_MS / 60_000} minutes, it tries it once more`,
    );
  if (contact.connected) return answer(Outcome.ORDERED, `${text} is offered again`);
  const seen = contact.lastSeenMs === undefined ? "never seen" : `last seen ${rfc3339Seconds(contact.lastSeenMs)}`;
  return answer(
    Outcome.WAITS_FOR_AGENT,
    `${text} is offered again when the agent is back: it is not connected (${seen}); the order is kept until then, or until the content changes`,
  );
}

/** Why an order would change nothing; empty when it would. */
function nothingToRetry(progress: ItemProgress): string {
  const { nack, quarantined, item } = progress;
  if (nack !== undefined && !quarantined)
    return `is not quarantined (${nack.reason}): the agent tries again by itself; see: seamctl explain`;
  if (!isDone(progress)) return "";
  return `is not refused: it is ${item.deleted === true ? "removed" : "healthy"}; nothing is retried`;
}

function stateOf({ level }: ItemProgress): string {
  switch (level) {
    case Level.RECEIVED:
      return "received and not verified yet";
    case Level.VERIFIED:
      return "verified and not applied yet";
    case Level.APPLIED:
      return "applied and not healthy yet";
    default:
      return "not received yet";
  }
}

function answer(outcome: Outcome, message: string): RetryItemResponse {
  const lifted = outcome === Outcome.ORDERED || outcome === Outcome.WAITS_FOR_AGENT;
  return create(RetryItemResponseSchema, { lifted, message, outcome });
}

function notOrdered(object: string, error: unknown): GrpcStatusError {
  if (error instanceof SeamError) return new GrpcStatusError(Status.RESOURCE_EXHAUSTED, error.parts);
  return new GrpcStatusError(Status.UNAVAILABLE, {
    reason: "RetryNotStored",
    object,
    expected: `a management cluster that stores the order: ${errorMessage(error)}`,
    remedy: "nothing was ordered; try again",
  });
}
