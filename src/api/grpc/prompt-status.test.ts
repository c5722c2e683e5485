import { once } from "node:events";
import { connect } from "node:net";
import {
  Client,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  credentials,
  type handleUnaryCall,
  status,
} from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { promptStatus } from "./prompt-status.ts";

const bytes = (value: Buffer): Buffer => value;
const KIB = 1024;
const servers: Server[] = [];

/** A unary method that answers with as many bytes as it was asked for; 7 cannot be encoded, 13 fails. */
async function echo(): Promise<{ readonly port: number; ask(size: number): Promise<number | ServiceError> }> {
  const server = new Server({ interceptors: [promptStatus], "grpc.max_send_message_length": 64 * KIB });
  servers.push(server);
  const definition = {
    call: {
      path: "/test.Echo/Call",
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseDeserialize: bytes,
      responseSerialize: (value: Buffer): Buffer => {
        if (value.length === 7) throw new Error("no encoding");
        return value;
      },
    },
  } as const;
  server.addService(definition, {
    call: ((call, done) => {
      const size = call.request.readUInt32BE(0);
      if (size === 13) done({ code: status.FAILED_PRECONDITION, details: call.getPeer() });
      else done(null, Buffer.alloc(size, 1));
    }) satisfies handleUnaryCall<Buffer, Buffer>,
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const ask = (size: number): Promise<number | ServiceError> => {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const request = Buffer.alloc(4);
    request.writeUInt32BE(size, 0);
    return new Promise((resolve) => {
      client.makeUnaryRequest("/test.Echo/Call", bytes, bytes, request, new Metadata(), (error, reply) => {
        client.close();
        resolve(error ?? reply?.length ?? -1);
      });
    });
  };
  return { port, ask };
}

describe("a status that does not wait for its message", () => {
  afterEach(() => {
    for (const server of servers.splice(0)) server.forceShutdown();
  });

  it("comes after the whole message, whatever its size, many at once", async () => {
    const { ask } = await echo();
    const sizes = Array.from({ length: 64 }, (_, i) => (i * 1_021) % (64 * KIB)).filter((size) => size !== 13);
    expect(await Promise.all(sizes.map(ask))).toEqual(sizes);
    expect(await ask(0)).toBe(0);
    expect(await ask(64 * KIB)).toBe(64 * KIB);
  });

  it("does not hide why a message could not be sent, and the server serves on", async () => {
    const { ask } = await echo();
    expect(await ask(64 * KIB + 1)).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(await ask(7)).toMatchObject({ code: status.INTERNAL, details: "Error serializing response" });
    expect(await ask(13)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
    });
    expect(await ask(5)).toBe(5);
  });

  it("survives callers that go away in mid-call", async () => {
    const { port, ask } = await echo();
    for (let i = 0; i < 20; i++) {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
      socket.destroy();
    }
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const request = Buffer.alloc(4);
    request.writeUInt32BE(60 * KIB, 0);
    const gone = Array.from({ length: 50 }, () => {
      const call = client.makeUnaryRequest("/test.Echo/Call", bytes, bytes, request, new Metadata(), () => {});
      setImmediate(() => call.cancel());
      return new Promise((resolve) => call.once("status", resolve));
    });
    await Promise.all(gone);
    client.close();
    expect(await ask(5)).toBe(5);
  });
});
