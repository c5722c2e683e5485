import {
  Metadata,
  type ServerInterceptingCallInterface,
  ServerInterceptingCall,
  type ServerInterceptor,
} from "@grpc/grpc-js";

/**
 * Lets the status of a unary answer follow its message at once. grpc-js waits until the message has been written to the socket, a turn
 * of the event loop, and then writes the trailers by themselves: for every call a second TLS record, a second system call, and one more
 * wake-up of the client. A message that cannot be written ends its stream, so no client takes half an answer for a whole one.
 */
export const promptStatus: ServerInterceptor = (method, call) =>
  method.requestStream || method.responseStream ? new PassedCall(call) : new PromptCall(call);

/** A call as grpc-js made it: nothing is intercepted, so nothing needs its chain of listeners and responders. */
class PassedCall extends ServerInterceptingCall {
  readonly call: ServerInterceptingCallInterface;

  constructor(call: ServerInterceptingCallInterface) {
    super(call);
    this.call = call;
  }

  override start(...args: Parameters<ServerInterceptingCallInterface["start"]>): void {
    this.call.start(...args);
  }

  override sendMetadata(...args: Parameters<ServerInterceptingCallInterface["sendMetadata"]>): void {
    this.call.sendMetadata(...args);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.call.sendMessage(message, callback);
  }

  override sendStatus(...args: Parameters<ServerInterceptingCallInterface["sendStatus"]>): void {
    this.call.sendStatus(...args);
  }

  /** From what grpc-js noted of the connection: asking the socket goes through a proxy for every part. */
  override getPeer(): string {
    const { remoteAddress, remotePort } = this.call.getConnectionInfo();
    return remoteAddress === undefined ? "unknown" : `${remoteAddress}:${remotePort ?? 0}`;
  }
}

/** Never written to. Nothing is sent again when a handler sent its own. */
const NO_METADATA = new Metadata();

class PromptCall extends PassedCall {
  override sendMessage(message: unknown, callback: () => void): void {
    // Headers first: a message that then cannot be sent ends the call with its own status, and the one that follows here is dropped.
    this.call.sendMetadata(NO_METADATA);
    this.call.sendMessage(message, written);
    callback();
  }
}

function written(): void {
  // the status went with the message
}
