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
  Server,
  ServerDuplexStream,
  ServerReadableStream,
  ServerWritableStream,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
  sendUnaryData,
} from "@grpc/grpc-js";
import { type CallContext, type CallHooks, CallSignal } from "./call-context.ts";
import type { Principal } from "./principal.ts";
import { JsonRequest, jsonHeaders, jsonReply } from "./json-request.ts";
import { type Encodable, type ServiceDefinitionOptions, methodPath, serviceDefinition } from "./service-definition.ts";
import { type GrpcStatusError, Status, statusObject, statusOf } from "./status-error.ts";
import type { UnaryCalls, UnaryMethod } from "./unary-call.ts";

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

/** A service ready to be added to a server. */
export interface GrpcService {
  readonly descriptor: DescService;
  readonly definition: ServiceDefinition;
  /** Methods whose requests or answers are streams, as grpc-js calls them. */
  bind(hooks: CallHooks): UntypedServiceImplementation;
  /** The others, by their path. */
  unary(hooks: CallHooks): ReadonlyMap<string, UnaryMethod>;
}

/** Adds a service to a server that has the interceptor of `unary`. */
export function addService(server: Server, unary: UnaryCalls, service: GrpcService, hooks: CallHooks): void {
  server.addService(service.definition, service.bind(hooks));
  for (const [path, method] of service.unary(hooks)) unary.add(path, method);
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
      for (const method of descriptor.methods)
        if (method.methodKind !== "unary")
          bound[method.localName] = bindStream(method, method.methodKind, handlerOf(handlers, method), hooks);
      return bound;
    },
    unary(hooks) {
      const bound = new Map<string, UnaryMethod>();
      for (const method of descriptor.methods)
        if (method.methodKind === "unary") {
          const encodesItself = options.encoders?.has(method.localName) === true;
          bound.set(methodPath(method), unaryMethod(method, handlerOf(handlers, method), hooks, encodesItself));
        }
      return bound;
    },
  };
}

type AnyHandler = (input: unknown, context: CallContext) => unknown;
type AnyCall =
  | ServerWritableStream<Message, Encodable>
  | ServerReadableStream<Message, Encodable>
  | ServerDuplexStream<Message, Encodable>;

function handlerOf<S extends DescService>(handlers: ServiceHandlers<S>, method: DescMethod): AnyHandler {
  const handler: unknown = handlers[method.localName as keyof S["method"]];
  return handler as AnyHandler;
}

/** Tells the status of a failure, and logs what is none. */
function failureOf(method: DescMethod, hooks: CallHooks): (error: unknown) => GrpcStatusError {
  return (error) => {
    const status = statusOf(error);
    if (status.code === Status.INTERNAL)
      hooks.log.error({ err: error, method: method.name, service: method.parent.typeName }, "gRPC handler failed");
    return status;
  };
}

/** @param encodesItself what has an encoder of its own is encoded from whatever the handler answered */
function unaryMethod(method: DescMethod, handle: AnyHandler, hooks: CallHooks, encodesItself: boolean): UnaryMethod {
  return {
    hooks,
    handle,
    encodable: encodesItself ? (reply) => reply as Encodable : (reply) => encodable(method.output, reply),
    json: (reply) => jsonReply(method.output, reply),
    failed: failureOf(method, hooks),
  };
}

function bindStream(
  method: DescMethod,
  kind: Exclude<DescMethod["methodKind"], "unary">,
  handler: AnyHandler,
  hooks: CallHooks,
): UntypedHandleCall {
  const answer = async (call: AnyCall, input: unknown): Promise<unknown> => {
    const context = new StreamContext(call, hooks);
    context.principal = await hooks.principal(context.peer, call.metadata);
    return handler(requestOf(input), context);
  };
  const failed = failureOf(method, hooks);
  switch (kind) {
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

/** A stream as its handler sees it. */
class StreamContext implements CallContext {
  principal: Principal | undefined;
  readonly peer: string;
  readonly #call: AnyCall;
  readonly #hooks: CallHooks;
  #signal: CallSignal | undefined;

  constructor(call: AnyCall, hooks: CallHooks) {
    this.#call = call;
    this.#hooks = hooks;
    this.peer = call.getPeer();
  }

  get metadata(): Metadata {
    return this.#call.metadata;
  }

  get signal(): AbortSignal {
    this.#signal ??= this.#watch();
    return this.#signal.signal;
  }

  #watch(): CallSignal {
    const watched = new CallSignal(this.#hooks.signal);
    if (this.#call.cancelled) watched.ended(true);
    else (this.#call as EventEmitter).once("cancelled", () => watched.ended(true));
    return watched;
  }
}
