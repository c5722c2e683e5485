import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from "@grpc/grpc-js";
import { randomBytes } from "node:crypto";
import { CommitClock, atPace } from "./commit-clock.ts";
import { type Answer, type Command, cpu, memory, serve } from "./protocol.ts";

/** Plain grpc-js with mutual TLS: one stream per client, a message of the same size to all, encoded once, any answer counts. */
const raw = (bytes: Buffer): Buffer => bytes;
const definition: ServiceDefinition = {
  stream: {
    path: "/bench.Floor/Stream",
    requestStream: true,
    responseStream: true,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  },
};
interface Stream {
  readonly call: ServerDuplexStream<Buffer, Buffer>;
  readonly key: string;
  sent: number;
  answered: number;
}
const streams = new Map<string, Stream>();
const clock = new CommitClock();
let opened = 0;

/** Writes one message; the client's next answer acknowledges it. */
function send(stream: Stream, message: Buffer, orderedMs?: number): void {
  clock.committed(stream.key, ++stream.sent, orderedMs);
  stream.call.write(message);
}

serve(async (command: Command): Promise<Answer> => {
  switch (command.type) {
    case "startServer":
      return { port: await start(command) };
    case "awaitConnected":
      while (streams.size < command.count) await new Promise((resolve) => setTimeout(resolve, 20));
      return {};
    case "change": {
      const message = randomBytes(command.bytes);
      const started = performance.now();
      for (const stream of streams.values()) send(stream, message, started);
      await clock.settled();
      return { elapsedMs: performance.now() - started, latenciesMs: [clock.take(streams.keys())] };
    }
    case "pace": {
      const { pace } = command;
      const keys = [...streams.keys()];
      const message = randomBytes(pace.bytes);
      const started = performance.now();
      await atPace(keys, pace, (key) => {
        const stream = streams.get(key);
        if (stream !== undefined) send(stream, message);
      });
      await clock.settled();
      // Clients are anonymous here: every group is all of them.
      const all = clock.take(keys);
      return { elapsedMs: performance.now() - started, latenciesMs: pace.groups.map(() => all) };
    }
    case "memory":
      return memory();
    case "cpu":
      return cpu();
    case "stop":
      process.exit(0);
      break;
    default:
      throw new Error("the floor does not do that");
  }
  return {};
});

function start(command: Extract<Command, { type: "startServer" }>): Promise<number> {
  const server = new Server({ "grpc.enable_channelz": 0 });
  server.addService(definition, {
    stream: (call: ServerDuplexStream<Buffer, Buffer>) => {
      const stream: Stream = { call, key: String(++opened), sent: 0, answered: 0 };
      streams.set(stream.key, stream);
      call.on("data", () => clock.acknowledged(stream.key, ++stream.answered));
      const gone = (): void => {
        streams.delete(stream.key);
      };
      call.on("cancelled", gone);
      call.on("error", gone);
      call.on("end", gone);
    },
  });
  const { certificatePem, privateKeyPem, caPem } = command.tls;
  const credentials = ServerCredentials.createSsl(
    Buffer.from(caPem),
    [{ cert_chain: Buffer.from(certificatePem), private_key: Buffer.from(privateKeyPem) }],
    true,
  );
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${command.port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}
