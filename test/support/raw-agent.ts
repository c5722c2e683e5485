import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { HelloSchema } from "../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { dialStream } from "../../src/federation/wire/dial-stream.ts";
import type { WirePipe } from "../../src/federation/wire/pipe.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";
import { type FederationRig, until } from "./federation-rig.ts";

/** A peer that says what the test wants. */
export class RawAgent {
  readonly frames: Envelope[] = [];
  closed: string | undefined;
  pipe: WirePipe | undefined;

  static async dial(rig: FederationRig, tls: TlsMaterial): Promise<RawAgent> {
    const agent = new RawAgent();
    agent.pipe = await dialStream({
      endpoint: `127.0.0.1:${rig.port}`,
      tls,
      generation: 1,
      signal: new AbortController().signal,
      listener: {
        received: (bytes) => agent.frames.push(fromBinary(EnvelopeSchema, bytes)),
        drained: () => {},
        closed: (reason) => {
          agent.closed = reason;
        },
      },
    });
    return agent;
  }

  send(envelope: Parameters<typeof create<typeof EnvelopeSchema>>[1]): void {
    this.raw(toBinary(EnvelopeSchema, create(EnvelopeSchema, envelope)));
  }

  raw(bytes: Uint8Array): void {
    this.pipe?.send(bytes);
  }

  hello(
    clusterId: string,
    protocolVersions: number[] = [1],
    claims: Parameters<typeof create<typeof HelloSchema>>[1] = {},
  ): void {
    const value = create(HelloSchema, { clusterId, protocolVersions, ...claims });
    this.send({ seq: 1n, payload: { case: "hello", value } });
  }

  async welcomed(clusterId: string): Promise<string> {
    this.hello(clusterId);
    await until(() => this.last("welcome") !== undefined, "Welcome");
    return this.frames.find(({ payload }) => payload.case === "welcome")?.sessionId ?? "";
  }

  last<C extends Envelope["payload"]["case"]>(name: C): Extract<Envelope["payload"], { case: C }> | undefined {
    const found = this.frames.findLast(({ payload }) => payload.case === name)?.payload;
    return found as Extract<Envelope["payload"], { case: C }> | undefined;
  }

  async ended(): Promise<void> {
    await until(() => this.closed !== undefined, "the stream ends");
  }
}
