import { ItemRetrySchema } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { create } from "@bufbuild/protobuf";
import { MAX_PENDING_RETRIES } from "../limits.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import type { HubPipe } from "./step.ts";

interface Retry {
  readonly kind: string;
  readonly name: string;
  sent: boolean;
}

/** Operator's retries that the agent has not acknowledged: they wait for an agent that is away. */
export class OperatorRetries {
  readonly #pending: Map<string, Retry> = new Map();

  /** An operator lifts the quarantine of an item. */
  ask(kind: string, name: string): void {
    if (this.#pending.size < MAX_PENDING_RETRIES) this.#pending.set(`${kind}/${name}`, { kind, name, sent: false });
  }

  /** A stream went live: none was sent on it. */
  opened(): void {
    for (const retry of this.#pending.values()) retry.sent = false;
  }

  /** The agent has the retry of an item. */
  acknowledged(key: string): void {
    if (this.#pending.get(key)?.sent === true) this.#pending.delete(key);
  }

  /** Queues what was not sent; `digestOf` names the digest that is quarantined, empty when none is. */
  pump(pipe: HubPipe, digestOf: (key: string) => string): void {
    for (const [key, retry] of this.#pending) {
      if (retry.sent) continue;
      const value = create(ItemRetrySchema, { kind: retry.kind, name: retry.name, digest: digestOf(key) });
      const payload: Payload = { case: "itemRetry", value };
      retry.sent = pipe.queue.push("command", payload, payloadBytes(payload), `retry/${key}`, { kind: "retry", key });
    }
  }
}
