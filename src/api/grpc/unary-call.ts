import { EventEmitter } from "node:events";
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type StatusObject,
} from "@grpc/grpc-js";
import { type CallContext, type CallHooks, CallSignal } from "./call-context.ts";
import { JsonRequest, jsonHeaders } from "./json-request.ts";
import type { Principal } from "./principal.ts";
import type { Encodable } from "./service-definition.ts";
import { GrpcStatusError, Status, statusObject } from "./status-error.ts";

/** Hears what comes of a call. */
type CallListener = Parameters<ServerInterceptingCallInterface["start"]>[0];
/** Where a connection comes from. */
type ConnectionInfo = ReturnType<ServerInterceptingCallInterface["getConnectionInfo"]>;

/** One method with one request and one answer, bound to its listener. */
export interface UnaryMethod {
  readonly hooks: CallHooks;
  /** Answers, at once or later. @throws whatever the call fails with */
  handle(request: unknown, context: CallContext): unknown;
  /** What the method's encoder takes, of what the handler answered. */
  encodable(reply: unknown): Encodable;
  /** The JSON form of it. */
  json(reply: unknown): Buffer;
  /** The status of a failure; what is none is logged. */
  failed(error: unknown): GrpcStatusError;
}

/**
 * Answers unary calls without what grpc-js puts between a call and its handler: a writable stream of its own for each, and a wait. It
 * holds the status back until the message has been written to the socket, a turn of the event loop, and then writes the trailers by
 * themselves: a second TLS record, a second system call, and one more wake-up of the client. Here the status follows its message at once.
 * A message that cannot be written ends its stream, so no client takes half an answer for a whole one.
 */
export class UnaryCalls {
  readonly #methods = new Map<string, UnaryMethod>();
  readonly #peers = new PeerNames();

  /** Answers the method of a path, from now on. */
  add(path: string, method: UnaryMethod): void {
    this.#methods.set(path, method);
  }

  /** For the options of a grpc-js server. Calls that are not unary, or of nobody's methods, pass. */
  readonly interceptor: ServerInterceptor = ({ path }, call) => {
    const method = this.#methods.get(path);
    return method === undefined ? new PassedCall(call, this.#peers) : new UnaryCall(call, this.#peers, method);
  };
}

/** Ends of connections whose name is kept. */
const MAX_PEERS = 4_096;

/**
 * `address:port` of connections' other ends, each made once: a call's listener looks its connection up by it, and a new text of the same
 * characters has to be put together and hashed for each.
 */
class PeerNames {
  readonly #byPort = new Map<number, { readonly address: string; readonly name: string }>();

  of({ remoteAddress, remotePort = 0 }: ConnectionInfo): string {
    if (remoteAddress === undefined) return "unknown";
    const held = this.#byPort.get(remotePort);
    if (held !== undefined && held.address === remoteAddress) return held.name;
    if (this.#byPort.size >= MAX_PEERS) this.#byPort.clear();
    const name = `${remoteAddress}:${remotePort}`;
    this.#byPort.set(remotePort, { address: remoteAddress, name });
    return name;
  }
}

/** A call as grpc-js made it: nothing is intercepted, so nothing needs its chain of listeners and responders. */
class PassedCall extends ServerInterceptingCall {
  readonly call: ServerInterceptingCallInterface;
  readonly #peers: PeerNames;

  constructor(call: ServerInterceptingCallInterface, peers: PeerNames) {
    super(call);
    this.call = call;
    this.#peers = peers;
  }

  override start(listener: CallListener): void {
    this.call.start(listener);
  }

  override sendMetadata(metadata: Metadata): void {
    this.call.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.call.sendMessage(message, callback);
  }

  override sendStatus(...args: Parameters<ServerInterceptingCallInterface["sendStatus"]>): void {
    this.call.sendStatus(...args);
  }

  /** From what grpc-js noted of the connection: asking the socket goes through a proxy for every part. */
  override getPeer(): string {
    return this.#peers.of(this.call.getConnectionInfo());
  }
}

/**
 * Lets go of a call's listeners when its HTTP/2 stream is closed. Node's handle of a stream outlives it until a collection of the whole
 * heap, and holds the stream, which holds its listeners, which hold all that grpc-js made for the call: without this each call costs its
 * 6 KB twice more, copied by the next two collections of young garbage. grpc-js has no public way to a call's stream; a version that
 * keeps it elsewhere only costs the time again, and a test tells.
 */
function releaseWhenClosed(call: ServerInterceptingCallInterface): void {
  const stream: unknown = Reflect.get(call, "stream");
  if (stream instanceof EventEmitter) stream.on("close", release);
}

/** Nothing is told of a stream after `close`. */
function release(this: EventEmitter): void {
  // These two alone lead to the call; removing all of them takes three times as long.
  this.removeAllListeners("data");
  this.removeAllListeners("end");
}

/** Never written to. */
const NO_METADATA = new Metadata();
const ANSWERED: StatusObject = { code: Status.OK, details: "OK", metadata: NO_METADATA };

/** One call, its listener and what its handler knows of it, in one object. */
class UnaryCall extends PassedCall implements CallListener, CallContext {
  principal: Principal | undefined;
  metadata: Metadata = NO_METADATA;
  readonly #method: UnaryMethod;
  #request: unknown;
  #json = false;
  #answered = false;
  #over = false;
  #signal: CallSignal | undefined;

  constructor(call: ServerInterceptingCallInterface, peers: PeerNames, method: UnaryMethod) {
    super(call, peers);
    this.#method = method;
    releaseWhenClosed(call);
  }

  get peer(): string {
    return this.getPeer();
  }

  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      this.#signal = new CallSignal(this.#method.hooks.signal);
      if (this.#over) this.#signal.ended(!this.#answered);
    }
    return this.#signal.signal;
  }

  /** grpc-js offers a listener that ends in the handler it knows; ours is the call itself. */
  override start(): void {
    this.call.start(this);
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.metadata = metadata;
    this.call.startRead();
  }

  onReceiveMessage(message: unknown): void {
    if (this.#request !== undefined) {
      this.#refuse(new GrpcStatusError(Status.UNIMPLEMENTED, "the method takes one message, found more"));
      return;
    }
    this.#request = message;
    this.call.startRead();
  }

  onReceiveHalfClose(): void {
    const request = this.#request;
    this.#request = undefined;
    if (request === undefined) {
      this.#refuse(new GrpcStatusError(Status.UNIMPLEMENTED, "the method takes one message, found none"));
      return;
    }
    // A handler that answers at once, for a caller known by its connection, costs no promise (most calls are such).
    try {
      const principal = this.#method.hooks.principal(this.getPeer(), this.metadata);
      const reply =
        principal instanceof Promise
          ? principal.then((known) => this.#ask(request, known))
          : this.#ask(request, principal);
      if (reply instanceof Promise)
        reply.then((value: unknown) => this.#answer(value)).catch((error: unknown) => this.#refuse(error));
      else this.#answer(reply);
    } catch (error) {
      this.#refuse(error);
    }
  }

  onCancel(): void {
    this.#over = true;
    this.#signal?.ended(!this.#answered);
  }

  #ask(request: unknown, principal: Principal | undefined): unknown {
    this.principal = principal;
    if (!(request instanceof JsonRequest)) return this.#method.handle(request, this);
    this.#json = true;
    return this.#method.handle(request.read(), this);
  }

  #answer(reply: unknown): void {
    const message = this.#json ? this.#method.json(reply) : this.#method.encodable(reply);
    this.#answered = true;
    // Headers first: a message that then cannot be sent ends the call with its own status, and the one that follows here is dropped.
    this.call.sendMetadata(this.#json ? jsonHeaders() : NO_METADATA);
    this.call.sendMessage(message, written);
    this.call.sendStatus(ANSWERED);
  }

  #refuse(error: unknown): void {
    this.#answered = true;
    this.call.sendStatus(statusObject(this.#method.failed(error)));
  }
}

function written(): void {
  // the status went with the message
}
