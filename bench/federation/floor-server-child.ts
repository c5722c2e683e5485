import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from "@grpc/grpc-js";
import { randomBytes } from "node:crypto";
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
const streams = new Set<ServerDuplexStream<Buffer, Buffer>>();
let waiting = 0;
let done: () => void = () => {};

serve(async (command: Command): Promise<Answer> => {
  switch (command.type) {
    case "startServer": {
      const server = new Server({ "grpc.enable_channelz": 0 });
      server.addService(definition, {
        stream: (call: ServerDuplexStream<Buffer, Buffer>) => {
          streams.add(call);
          call.on("data", () => {
            if (--waiting === 0) done();
          });
          const gone = (): void => {
            streams.delete(call);
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
      const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync(`127.0.0.1:${command.port}`, credentials, (error, bound) => {
          if (error === null) resolve(bound);
          else reject(error);
        });
      });
      return { port };
    }
    case "awaitConnected":
      while (streams.size < command.count) await new Promise((resolve) => setTimeout(resolve, 20));
      return {};
    case "change": {
      const message = randomBytes(command.bytes);
      waiting = streams.size;
      const finished = new Promise<void>((resolve) => {
        done = resolve;
      });
      const started = performance.now();
      for (const call of streams) call.write(message);
      await finished;
      return { elapsedMs: performance.now() - started };
    }
    case "memory":
      return memory();
    case "cpu":
      return cpu();
    case "stop":
      process.exit(0);
      break;
    case "startClients":
      throw new Error("this child serves");
  }
  return {};
});
