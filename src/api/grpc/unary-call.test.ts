import { EventEmitter, once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import {
  Client,
  Metadata,
  Server,
  ServerCredentials,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type ServiceError,
  credentials,
  status,
} from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { silentLog } from "../../base/log.ts";
import type { CallContext } from "./call-context.ts";
import type { Encodable } from "./service-definition.ts";
import { GrpcStatusError, statusOf } from "./status-error.ts";
import { UnaryCalls } from "./unary-call.ts";

const bytes = (value: Buffer): Buffer => value;
const KIB = 1024;
const PATH = "/test.Echo/Call";
const servers: Server[] = [];

/** A unary method that answers with as many bytes as it was asked for. */
function sized(request: unknown, context: CallContext): Buffer | Promise<Buffer> {
  const size = (request as Buffer).readUInt32BE(0);
  switch (size) {
    case 13:
      throw new GrpcStatusError(status.FAILED_PRECONDITION, context.peer);
    case 17:
      return Promise.reject(new Error("a secret of the handler"));
    case 19:
      return Promise.resolve(Buffer.alloc(size, 1));
    default:
      return Buffer.alloc(size, 1);
  }
}

interface Echo {
  readonly port: number;
  /** Failures that the method logs. */
  readonly failures: readonly unknown[];
  /** As grpc-js made them. */
  readonly calls: readonly ServerInterceptingCallInterface[];
  ask(size: number): Promise<number | ServiceError>;
}

/** Serves {@link sized}, or another handler; 7 bytes cannot be encoded. */
async function echo(handle: (request: unknown, context: CallContext) => unknown = sized): Promise<Echo> {
  const unary = new UnaryCalls();
  const failures: unknown[] = [];
  const stop = new AbortController();
  unary.add(PATH, {
    hooks: { principal: () => undefined, signal: stop.signal, log: silentLog },
    handle,
    encodable: (reply) => reply as Encodable,
    json: (reply) => Buffer.from(JSON.stringify(reply)),
    failed: (error) => {
      failures.push(error);
      return statusOf(error);
    },
  });
  const calls: ServerInterceptingCallInterface[] = [];
  const seen: ServerInterceptor = (method, call) => {
    calls.push(call);
    return unary.interceptor(method, call);
  };
  const server = new Server({ interceptors: [seen], "grpc.max_send_message_length": 64 * KIB });
  servers.push(server);
  const definition = {
    call: {
      path: PATH,
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
  server.addService(definition, {});
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
      client.makeUnaryRequest(PATH, bytes, bytes, request, new Metadata(), (error, reply) => {
        client.close();
        resolve(error ?? reply?.length ?? -1);
      });
    });
  };
  return { port, failures, calls, ask };
}

/** What a client that keeps to no rule gets for its frames: the trailers. */
async function trailersFor(port: number, body: Buffer): Promise<Record<string, unknown>> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": PATH,
    "content-type": "application/grpc",
    te: "trailers",
  });
  const answered: Promise<Record<string, unknown>[]> = Promise.race([
    once(stream, "trailers"),
    once(stream, "response"),
  ]);
  stream.end(body);
  const [trailers] = await answered;
  session.destroy();
  return trailers ?? {};
}

describe("a unary call", () => {
  afterEach(() => {
    for (const server of servers.splice(0)) server.forceShutdown();
  });

  it("gets its status after the whole message, whatever its size, many at once", async () => {
    const { ask } = await echo();
    const sizes = Array.from({ length: 64 }, (_, i) => (i * 1_021) % (64 * KIB)).filter((size) => size !== 13);
    expect(await Promise.all(sizes.map(ask))).toEqual(sizes);
    expect(await ask(0)).toBe(0);
    expect(await ask(64 * KIB)).toBe(64 * KIB);
  });

  it("says why a message could not be sent, and the server serves on", async () => {
    const { ask } = await echo();
    expect(await ask(64 * KIB + 1)).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(await ask(7)).toMatchObject({ code: status.INTERNAL, details: "Error serializing response" });
    expect(await ask(13)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
    });
    expect(await ask(5)).toBe(5);
  });

  it("may be answered later; what fails is logged and not told", async () => {
    const { ask, failures } = await echo();
    expect(await ask(19)).toBe(19);
    expect(failures).toEqual([]);
    expect(await ask(17)).toMatchObject({ code: status.INTERNAL, details: "internal error" });
    expect(failures).toEqual([new Error("a secret of the handler")]);
  });

  it("has one message", async () => {
    const { port, ask } = await echo();
    const message = Buffer.from([0, 0, 0, 0, 4, 0, 0, 0, 5]);
    const unimplemented = { "grpc-status": `${status.UNIMPLEMENTED}` };
    expect(await trailersFor(port, Buffer.concat([message, message]))).toMatchObject(unimplemented);
    expect(await trailersFor(port, Buffer.alloc(0))).toMatchObject(unimplemented);
    expect(await ask(5)).toBe(5);
  });

  it("aborts its signal when the caller leaves before the answer, and not after it", async () => {
    const signals: AbortSignal[] = [];
    const { port, ask } = await echo((_, context) => {
      signals.push(context.signal);
      return signals.length === 1 ? Buffer.alloc(1) : new Promise(() => {});
    });
    expect(await ask(1)).toBe(1);
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const call = client.makeUnaryRequest(PATH, bytes, bytes, Buffer.alloc(4), new Metadata(), () => {});
    await expect.poll(() => signals.length, { timeout: 15_000 }).toBe(2);
    call.cancel();
    await expect.poll(() => signals[1]?.aborted, { timeout: 15_000 }).toBe(true);
    client.close();
    expect(signals[0]?.aborted).toBe(false);
  });

  it("ends at its deadline, and its signal with it", async () => {
    const signals: AbortSignal[] = [];
    const { port } = await echo((_, context) => {
      signals.push(context.signal);
      return new Promise(() => {});
    });
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const options = { deadline: Date.now() + 300 };
    const error = await new Promise((resolve) =>
      client.makeUnaryRequest(PATH, bytes, bytes, Buffer.alloc(4), new Metadata(), options, resolve),
    );
    client.close();
    expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await expect.poll(() => signals.every(({ aborted }) => aborted), { timeout: 15_000 }).toBe(true);
  });

  it("is let go of when its stream closes, so that the stream does not keep it for the next collections of garbage", async () => {
    const { ask, calls } = await echo();
    expect(await ask(5)).toBe(5);
    expect(await ask(17)).toMatchObject({ code: status.INTERNAL });
    const streams = calls.map((call): unknown => Reflect.get(call, "stream"));
    expect(streams.map((stream) => stream instanceof EventEmitter)).toEqual([true, true]);
    const left = (): readonly unknown[] =>
      streams.flatMap((stream) => (stream instanceof EventEmitter ? stream.eventNames() : []));
    await expect.poll(left, { timeout: 15_000 }).not.toContain("data");
    expect(left()).not.toContain("end");
  });

  it("may lose its caller at any moment", async () => {
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
      const call = client.makeUnaryRequest(PATH, bytes, bytes, request, new Metadata(), () => {});
      setImmediate(() => call.cancel());
      return new Promise((resolve) => call.once("status", resolve));
    });
    await Promise.all(gone);
    client.close();
    expect(await ask(5)).toBe(5);
  });
});
