import { Client, Metadata } from "@grpc/grpc-js";
import { fullJitter } from "../../src/base/backoff.ts";
import { systemRandom } from "../../src/base/random.ts";
import { RECONNECT } from "../../src/federation/session/limits.ts";
import { clientCredentials } from "../../src/trust/tls/client-credentials.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";
import { type Answer, type Command, cpu, memory, serve } from "./protocol.ts";

const raw = (bytes: Buffer): Buffer => bytes;
const ACK = Buffer.alloc(64);

/** Keeps one stream open and answers each message; reconnects with the agents' own backoff, so that recoveries compare. */
function keepStream(port: number, tls: TlsMaterial, attempt: number): void {
  const client = new Client(`127.0.0.1:${port}`, clientCredentials(tls), {
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": 1,
  });
  const call = client.makeBidiStreamRequest("/bench.Floor/Stream", raw, raw, new Metadata(), {});
  let opened = false;
  let over = false;
  const again = (): void => {
    if (over) return;
    over = true;
    client.close();
    const next = opened ? 0 : attempt + 1;
    setTimeout(() => keepStream(port, tls, next), fullJitter(RECONNECT, next, systemRandom));
  };
  client.waitForReady(Infinity, (error) => {
    opened = error === undefined;
  });
  call.on("data", () => call.write(ACK));
  call.on("error", again);
  call.on("end", again);
}

serve(async (command: Command): Promise<Answer> => {
  switch (command.type) {
    case "startClients":
      for (const { tls } of command.agents) keepStream(command.port, tls, 0);
      return {};
    case "memory":
      return memory();
    case "cpu":
      return cpu();
    case "stop":
      process.exit(0);
      break;
    default:
      throw new Error("this child dials");
  }
  return {};
});
