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
import { JsonRequest, jsonHeaders, jsonReply } from "./json-request.ts";
import { type Encodable, type ServiceDefinitionOptions, serviceDefinition } from "./service-definition.ts";
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
export function implementService<S extends DescService>(
  descriptor: S,
  handlers: ServiceHandlers<S>,
  options: ServiceDefinitionOptions = {},
): GrpcService {
  const definition = serviceDefinition(descriptor, options);
  return {
    descriptor,
    definition,
    bind(hooks) {
      const bound: UntypedServiceImplementation = {};
      for (const method of descriptor.methods) {
        const handler: unknown = handlers[method.localName as keyof S["method"]];
        const encodes = options.encoders?.has(method.localName) === true;
        bound[method.localName] = bindMethod(method, handler as AnyHandler, hooks, encodes);
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

function bindMethod(
  method: DescMethod,
  handler: AnyHandler,
  hooks: CallHooks,
  encodesItself: boolean,
): UntypedHandleCall {
  const answer = async (call: AnyCall, input: unknown): Promise<unknown> => {
    const context = new HandlerContext(call, hooks);
    context.principal = await hooks.principal(context.peer, call.metadata);
    return handler(requestOf(input), context);
  };
  const failed = (error: unknown): GrpcStatusError => {
    const status = statusOf(error);
    if (status.code === Status.INTERNAL)
      hooks.log.error({ err: error, method: method.name, service: method.parent.typeName }, "gRPC handler failed");
    return status;
  };
  switch (method.methodKind) {
    case "unary":
      return (call: ServerUnaryCall<Message, Encodable>, done: sendUnaryData<Encodable>) => {
        const context = new HandlerContext(call, hooks);
        const json = (call.request as Message | JsonRequest) instanceof JsonRequest;
        const send = (value: unknown): void => {
          context.finished();
          if (json) {
            call.sendMetadata(jsonHeaders());
            done(null, jsonReply(method.output, value));
            return;
          }
          // What has an encoder of its own is encoded by grpc-js from whatever the handler answered.
          done(null, encodesItself ? (value as Encodable) : encodable(method.output, value));
        };
        const refuse = (error: unknown): void => {
          context.finished();
          done(statusObject(failed(error)));
        };
        // A handler that answers at once, for a caller known by its connection, costs no promise (most calls are such).
        try {
          const principal = hooks.principal(context.peer, call.metadata);
          const reply =
            principal instanceof Promise
              ? principal.then((known) => handler(requestOf(call.request), context.of(known)))
              : handler(requestOf(call.request), context.of(principal));
          if (reply instanceof Promise) reply.then(send).catch(refuse);
          else send(reply);
        } catch (error) {
          refuse(error);
        }
      };
    case "client_streaming":
      return (call: ServerReadableStream<Message, Encodable>, done: sendUnaryData<Encodable>) => {
        void settle(answer(call, call), method.output, failed, done);
      };
    case "server_streaming":
      return (call: ServerWritableStream<Message, Encodable>) => {
        const json = (call.request as Message | JsonRequest) instanceof JsonRequest;
        answer(call, call.request)
          .then((replies) => pump(call, method.output, replies as AsyncIterable<unknown>, json))
          .catch((error: unknown) => endWith(call, failed(error)));
      };
    case "bidi_streaming":
      return (call: ServerDuplexStream<Message, Encodable>) => {
        answer(call, call).catch((error: unknown) => endWith(call, failed(error)));
      };
  }
}

/** What a handler gets. @throws GrpcStatusError INVALID_ARGUMENT for JSON that is no such message */
function requestOf(input: unknown): unknown {
  return input instanceof JsonRequest ? input.read() : input;
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
  json: boolean,
): Promise<void> {
  if (json) call.sendMetadata(jsonHeaders());
  for await (const reply of replies) {
    if (call.cancelled) return;
    if (!call.write(json ? jsonReply(schema, reply) : encodable(schema, reply))) await drained(call);
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

/** One call as its handler sees it. Its signal is made when somebody asks for it: most calls are answered before anybody could. */
class HandlerContext implements CallContext {
  principal: Principal | undefined;
  readonly peer: string;
  readonly #call: AnyCall;
  readonly #hooks: CallHooks;
  #controller: AbortController | undefined;
  #finished = false;

  constructor(call: AnyCall, hooks: CallHooks) {
    this.#call = call;
    this.#hooks = hooks;
    this.peer = call.getPeer();
  }

  get metadata(): Metadata {
    return this.#call.metadata;
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#watch();
    return this.#controller.signal;
  }

  of(principal: Principal | undefined): this {
    this.principal = principal;
    return this;
  }

  /** The answer is on its way: that grpc-js then calls the call "cancelled" is no news for anybody. */
  finished(): void {
    this.#finished = true;
  }

  #watch(): AbortController {
    const controller = new AbortController();
    const gone = (): void => controller.abort(new GrpcStatusError(Status.CANCELLED, "the caller went away"));
    const stop = (): void => controller.abort(new GrpcStatusError(Status.UNAVAILABLE, "the server stops"));
    if (this.#call.cancelled) gone();
    else if (this.#hooks.signal.aborted) stop();
    else {
      this.#hooks.signal.addEventListener("abort", stop, { once: true });
      (this.#call as EventEmitter).once("cancelled", () => {
        this.#hooks.signal.removeEventListener("abort", stop);
        if (!this.#finished) gone();
      });
    }
    return controller;
  }
}
