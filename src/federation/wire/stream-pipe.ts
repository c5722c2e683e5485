import type { EventEmitter } from "node:events";
import type { PipeListener, WirePipe } from "./pipe.ts";

/** The part of grpc-js's duplex streams, client's and server's, that a pipe uses. */
export interface RawStream extends EventEmitter {
  write(bytes: Uint8Array): boolean;
  pause(): unknown;
  resume(): unknown;
  readonly writableLength: number;
}

/** How the two ends differ. */
export interface StreamEndings {
  /** Says the last word after everything written has left: the server's status, the client's half-close. */
  finish(reason: string): void;
  /** Destroys the socket beneath. */
  destroy(): void;
}

/** A pipe over one grpc-js stream. If either half fails or ends, the whole is destroyed (lessons §1.4). */
export class StreamPipe implements WirePipe {
  readonly generation: number;
  readonly peer: string;
  readonly #stream: RawStream;
  readonly #endings: StreamEndings;
  readonly #listener: PipeListener;
  #ending: NodeJS.Timeout | undefined;
  #endReason: string | undefined;
  #closed = false;
  #received = 0;
  #sent = 0;

  constructor(
    stream: RawStream,
    parts: { readonly generation: number; readonly peer: string },
    endings: StreamEndings,
    listener: PipeListener,
  ) {
    this.#stream = stream;
    this.generation = parts.generation;
    this.peer = parts.peer;
    this.#endings = endings;
    this.#listener = listener;
    stream.on("data", this.#onData);
    stream.on("drain", this.#onDrain);
    // What ends a stream: the peer half-closed it, it was cancelled or reset, or a status or transport error arrived.
    stream.once("end", () => this.ended("the peer ended the stream"));
    stream.once("cancelled", () => this.ended("the stream was cancelled or its connection ended"));
    stream.on("error", (error: Error) => this.ended(error.message));
    stream.once("close", () => this.ended("the stream closed"));
  }

  get bytesReceived(): number {
    return this.#received;
  }

  get bytesSent(): number {
    return this.#sent;
  }

  send(bytes: Uint8Array): boolean {
    if (this.#closed || this.#endReason !== undefined) return true;
    this.#sent += bytes.length;
    return this.#stream.write(bytes);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#closed) this.#stream.resume();
  }

  destroy(reason: string, lingerMs: number): void {
    if (this.#closed) return;
    if (this.#endReason === undefined) {
      this.#endReason = reason;
      if (lingerMs > 0) this.#finishWhenDrained();
    }
    if (lingerMs <= 0) {
      this.ended(reason);
      return;
    }
    this.#ending ??= setTimeout(() => this.ended(reason), lingerMs);
  }

  /** The stream is over: destroys what is left of it and tells the owner, once. */
  ended(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#ending);
    this.#stream.off("data", this.#onData);
    this.#stream.off("drain", this.#onDrain);
    // Let the library discard what still arrives, so that its own end is seen and nothing is kept.
    this.#stream.resume();
    const why = this.#endReason ?? reason;
    this.#endings.destroy();
    this.#listener.closed(why);
  }

  readonly #onData = (bytes: Uint8Array): void => {
    this.#received += bytes.length;
    // After Goodbye or ProtocolError nothing the peer says counts.
    if (this.#endReason === undefined) this.#listener.received(bytes);
  };

  readonly #onDrain = (): void => {
    if (this.#endReason === undefined) this.#listener.drained();
  };

  #finishWhenDrained(): void {
    const finish = (): void => {
      if (!this.#closed) this.#endings.finish(this.#endReason ?? "");
    };
    if (this.#stream.writableLength === 0) finish();
    else this.#stream.once("drain", finish);
  }
}
