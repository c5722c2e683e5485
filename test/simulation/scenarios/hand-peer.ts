import { create } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import {
  type AuditPosition,
  HelloSchema,
  HeartBeatSchema,
  type IndexPosition,
} from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { PROTOCOL_VERSIONS } from "../../../src/federation/session/limits.ts";
import type { Payload } from "../../../src/federation/session/payload.ts";
import { Link, Wire } from "../link.ts";
import { must } from "../world.ts";
import type { SmallWorld } from "./small-world.ts";

/** How often it says that it lives, milliseconds. */
const BEAT_MS = 20_000;

/** An agent driven by hand, with a good certificate and any manners: it acknowledges only when told to. */
export class HandPeer {
  readonly wire = new Wire();
  readonly received: Envelope[] = [];
  /** How its stream ended; undefined while it lives. */
  ended: string | undefined = undefined;
  endedMs = 0;
  /** Whether it answers heartbeats. */
  answers = true;
  /** Highest number it acknowledges. */
  ack = 0n;
  readonly #on: SmallWorld;
  readonly #link: Link;
  readonly #cluster: string;
  #seq = 0n;
  #sessionId = "";

  /** Dials for `cluster`, the first of the world when it is not named. */
  constructor(on: SmallWorld, cluster = on.cluster) {
    this.#on = on;
    this.#cluster = cluster;
    const agent = {
      frame: (envelope: Envelope) => this.#hear(envelope),
      closed: (reason: string) => this.#end(reason),
      blocked: () => {},
      drained: () => {},
    };
    const link = on.hub.accept(cluster, (hub) => new Link(on.world, this.wire, agent, hub));
    must(link !== undefined, "the hub is down");
    this.#link = link;
  }

  /** Says Hello and goes on saying that it lives. */
  hello(fields: { readonly heldIndex?: IndexPosition; readonly audit?: AuditPosition } = {}): void {
    const value = create(HelloSchema, {
      protocolVersions: [...PROTOCOL_VERSIONS],
      agentVersion: "hand",
      clusterId: this.#cluster,
      instanceId: "hand",
      storeId: "hand",
      ...fields,
    });
    this.send({ case: "hello", value });
    this.#beat();
  }

  /** Sends a frame; a numbered one gets the next number. */
  send(payload: Payload, numbered = true): void {
    const seq = numbered ? ++this.#seq : 0n;
    const envelope = create(EnvelopeSchema, { sessionId: this.#sessionId, seq, ack: this.ack, payload });
    this.#link.sendUp(envelope, 200);
  }

  /** Payloads of one kind that arrived. */
  count(kind: Envelope["payload"]["case"]): number {
    return this.received.filter(({ payload }) => payload.case === kind).length;
  }

  #hear(envelope: Envelope): void {
    this.received.push(envelope);
    const { payload } = envelope;
    if (payload.case === "welcome") this.#sessionId = payload.value.sessionId;
    if (payload.case === "goodbye") this.#end(`goodbye: ${payload.value.message}`);
    if (payload.case === "protocolError") this.#end(`protocol error: ${payload.value.message}`);
    if (payload.case === "heartBeat" && !payload.value.isAck && this.answers)
      this.send(
        { case: "heartBeat", value: create(HeartBeatSchema, { isAck: true, nonce: payload.value.nonce }) },
        false,
      );
  }

  #end(how: string): void {
    if (this.ended !== undefined) return;
    this.ended = how;
    this.endedMs = this.#on.world.nowMs;
  }

  #beat(): void {
    if (this.ended !== undefined) return;
    if (this.#sessionId !== "")
      this.send({ case: "heartBeat", value: create(HeartBeatSchema, { isAck: false, nonce: 1n }) }, false);
    this.#on.world.after(BEAT_MS, () => this.#beat());
  }
}
