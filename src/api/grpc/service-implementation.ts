import type { EventEmitter } from "node:events";
import {
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
  create,
  isMessage,
} from "@bufbuild/protobuf";
import type {
  Metadata,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
  sendUnaryData,
} from "@grpc/grpc-js";
import type { Log } from "../../base/log.ts";
import type { Principal } from "./principal.ts";
import { type Encodable, serviceDefinition } from "./service-definition.ts";
import { GrpcStatusError, Status, statusObject, statusOf } from "./status-error.ts";

/** What a handler knows about a call besides its request. */
export interface CallContext {
  /** Aborts when the caller went away, its deadline passed, or the server stops. */
  readonly signal: AbortSignal;
  /** Who calls. Undefined only on listeners that let anonymous callers in. */
  readonly principal: Principal | undefined;
  /** `address:port` of the connection: the key under which a listener knows it. */
  readonly peer: string;
  readonly metadata: Metadata;
}

/** A response: the message, its initialiser, or its bytes when they were encoded once for many receivers. */
export type Reply<O extends DescMessage> = MessageInitShape<O> | MessageShape<O> | Uint8Array;

/** Handler of one method, by its kind. Bidirectional and client-streaming methods get the raw grpc-js stream. */
export type MethodHandler<M> = M extends { methodKind: infer K; input: infer I; output: infer O }
  ? I extends DescMessage
    ? O extends DescMessage
      ? K extends "unary"
        ? (request: MessageShape<I>, context: CallContext) => Promise<Reply<O>> | Reply<O>
        : K extends "server_streaming"
          ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<Reply<O>>
          : K extends "bidi_streaming"
            ? (call: ServerDuplexStream<MessageShape<I>, MessageShape<O> | Uint8Array>, context: CallContext) => void
            : (call: ServerReadableStream<MessageShape<I>, MessageShape<O>>, context: CallContext) => Promise<Reply<O>>
      : never
    : never
  : never;

/** One handler per method of a service. */
export type ServiceHandlers<S extends DescService> = {
  readonly [P in keyof S["method"]]: MethodHandler<S["method"][P]>;
};

/** How a listener tells handlers who calls. */
export interface CallHooks {
  /**
   * Establishes the caller.
   *
   * @throws GrpcStatusError UNAUTHENTICATED or PERMISSION_DENIED
   */
  principal(peer: string, metadata: Metadata): Promise<Principal | undefined> | Principal | undefined;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** A service ready to be added to a server. */
export interface GrpcService {
  readonly descriptor: DescService;
  readonly definition: ServiceDefinition;
  bind(hooks: CallHooks): UntypedServiceImplementation;
}

/** Joins a protobuf-es service descriptor with its handlers. */
export function implementService<S extends DescService>(descriptor: S, handlers: ServiceHandlers<S>): GrpcService {
  return {
    descriptor,
    definition: serviceDefinition(descriptor),
    bind(hooks) {
      const bound: UntypedServiceImplementation = {};
      for (const method of descriptor.methods) {
        const handler: unknown = handlers[method.localName as keyof S["method"]];
        bound[method.localName] = bindMethod(method, handler as AnyHandler, hooks);
      }
      return bound;
    },
  };
}

type AnyHandler = (input: unknown, context: CallContext) => unknown;
type AnyCall =
  | ServerUnaryCall<Message, Encodable>
  | ServerWritableStream<Message, Encodable>
  | ServerReadableStream<Message, Encodable>
  | ServerDuplexStream<Message, Encodable>;

function bindMethod(method: DescMethod, handler: AnyHandler, hooks: CallHooks): UntypedHandleCall {
  const answer = async (call: AnyCall, input: unknown): Promise<unknown> =>
    handler(input, await contextOf(call, hooks));
  const failed = (error: unknown): GrpcStatusError => {
    const status = statusOf(error);
    if (status.code === Status.INTERNAL)
      hooks.log.error({ err: error, method: method.name, service: method.parent.typeName }, "gRPC handler failed");
    return status;
  };
  switch (method.methodKind) {
    case "unary":
      return (call: ServerUnaryCall<Message, Encodable>, done: sendUnaryData<Encodable>) => {
        void settle(answer(call, call.request), method.output, failed, done);
      };
    case "client_streaming":
      return (call: ServerReadableStream<Message, Encodable>, done: sendUnaryData<Encodable>) => {
        void settle(answer(call, call), method.output, failed, done);
      };
    case "server_streaming":
      return (call: ServerWritableStream<Message, Encodable>) => {
        answer(call, call.request)
          .then((replies) => pump(call, method.output, replies as AsyncIterable<unknown>))
          .catch((error: unknown) => endWith(call, failed(error)));
      };
    case "bidi_streaming":
      return (call: ServerDuplexStream<Message, Encodable>) => {
        answer(call, call).catch((error: unknown) => endWith(call, failed(error)));
      };
  }
}

/** Answers a call that has one reply. */
async function settle(
  reply: Promise<unknown>,
  schema: DescMessage,
  failed: (error: unknown) => GrpcStatusError,
  done: sendUnaryData<Encodable>,
): Promise<void> {
  let value: Encodable;
  try {
    value = encodable(schema, await reply);
  } catch (error) {
    done(statusObject(failed(error)));
    return;
  }
  done(null, value);
}

/** Writes replies one by one; waits for `drain` when the library's buffer is full, so it never holds more than its high-water mark. */
async function pump(
  call: ServerWritableStream<Message, Encodable>,
  schema: DescMessage,
  replies: AsyncIterable<unknown>,
): Promise<void> {
  for await (const reply of replies) {
    if (call.cancelled) return;
    if (!call.write(encodable(schema, reply))) await drained(call);
  }
  call.end();
}

function drained(call: ServerWritableStream<Message, Encodable>): Promise<void> {
  if (call.cancelled) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      call.off("drain", done);
      call.off("cancelled", done);
      resolve();
    };
    call.on("drain", done);
    call.on("cancelled", done);
  });
}

function endWith(
  call: ServerWritableStream<Message, Encodable> | ServerDuplexStream<Message, Encodable>,
  error: GrpcStatusError,
): void {
  // A server stream ends with a status by an `error` event: that is grpc-js's way to say it.
  call.emit("error", statusObject(error));
}

function encodable(schema: DescMessage, reply: unknown): Encodable {
  if (reply instanceof Uint8Array || isMessage(reply, schema)) return reply;
  return create(schema, reply as MessageInitShape<DescMessage>);
}

async function contextOf(call: AnyCall, hooks: CallHooks): Promise<CallContext> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new GrpcStatusError(Status.UNAVAILABLE, "the server stops"));
  hooks.signal.addEventListener("abort", stop, { once: true });
  (call as EventEmitter).once("cancelled", () => {
    hooks.signal.removeEventListener("abort", stop);
    controller.abort(new GrpcStatusError(Status.CANCELLED, "the caller went away"));
  });
  const peer = call.getPeer();
  const principal = await hooks.principal(peer, call.metadata);
  return { signal: controller.signal, principal, peer, metadata: call.metadata };
}
