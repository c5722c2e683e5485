import type { EventEmitter } from "node:events";
import type { PipeListener, WirePipe } from "./pipe.ts";

/** Under which a stream knows its pipe, so that all pipes share their handlers: a hub has thousands of streams. */
const PIPE = Symbol("pipe");

/** The part of grpc-js's duplex streams, client's and server's, that a pipe uses. */
export interface RawStream extends EventEmitter {
  [PIPE]?: StreamPipe | undefined;
  write(bytes: Uint8Array, written: () => void): boolean;
  pause(): unknown;
  resume(): unknown;
}

/** How the two ends differ. */
export interface StreamEndings {
  /** Says the last word after everything written has left: the server's status, the client's half-close. */
  finish(reason: string): void;
  /** Destroys the socket beneath. */
  destroy(): void;
  /** The connection beneath, where the library's own last word is not to be trusted (see {@link HangUps}); absent on a client. */
  readonly hangUps?: HangUps;
  /** Says that a message of so many bytes came. */
  counted?(bytes: number): void;
}

/**
 * Tells when a connection is gone. For the server, whose library reports its own last word as a cancellation long before
 * the bytes have left: what ends a finishing stream there is the peer hanging up, or the linger time.
 */
export interface HangUps {
  onClosed(listener: ClosedListener): void;
  offClosed(listener: ClosedListener): void;
}

/** Who is told. */
export interface ClosedListener {
  connectionClosed(): void;
}

/** A pipe over one grpc-js stream. If either half fails or ends, the whole is destroyed (lessons §1.4). */
export class StreamPipe implements WirePipe, ClosedListener {
  readonly generation: number;
  readonly peer: string;
  readonly #stream: RawStream;
  readonly #endings: StreamEndings;
  readonly #listener: PipeListener;
  #ending: NodeJS.Timeout | undefined;
  #endReason: string | undefined;
  #closed = false;
  #finishing = false;
  /** Frames the transport has not taken yet. */
  #unwritten = 0;
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
    stream[PIPE] = this;
    stream.on("data", StreamPipe.#data);
    stream.on("drain", StreamPipe.#drain);
    // What ends a stream: the peer half-closed it, it was cancelled or reset, or a status or transport error arrived.
    stream.on("end", StreamPipe.#end);
    stream.on("cancelled", StreamPipe.#cancelled);
    stream.on("error", StreamPipe.#error);
    stream.on("close", StreamPipe.#close);
    endings.hangUps?.onClosed(this);
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
    this.#unwritten++;
    return this.#stream.write(bytes, this.#onWritten);
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
      if (lingerMs > 0) this.#finishWhenWritten();
    }
    if (lingerMs <= 0) {
      this.#ended(reason);
      return;
    }
    this.#ending ??= setTimeout(() => this.#ended(reason), lingerMs);
  }

  /** The connection beneath is gone. */
  connectionClosed(): void {
    this.#ended("the connection ended");
  }

  #over(reason: string): void {
    if (this.#finishing && this.#endings.hangUps !== undefined) return;
    this.#ended(reason);
  }

  /** The stream is over: destroys what is left of it and tells the owner, once. */
  #ended(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#ending);
    this.#endings.hangUps?.offClosed(this);
    // The handlers stay, for an error that nobody must be left to throw, and do nothing.
    this.#stream[PIPE] = undefined;
    // Let the library discard what still arrives, so that its own end is seen and nothing is kept.
    this.#stream.resume();
    const why = this.#endReason ?? reason;
    this.#endings.destroy();
    this.#listener.closed(why);
  }

  #onData(bytes: Uint8Array): void {
    this.#received += bytes.length;
    this.#endings.counted?.(bytes.length);
    // After Goodbye or ProtocolError nothing the peer says counts.
    if (this.#endReason === undefined) this.#listener.received(bytes);
  }

  static #data(this: RawStream, bytes: Uint8Array): void {
    const pipe = this[PIPE];
    if (pipe !== undefined) pipe.#onData(bytes);
  }

  static #drain(this: RawStream): void {
    const pipe = this[PIPE];
    if (pipe !== undefined && pipe.#endReason === undefined) pipe.#listener.drained();
  }

  static #end(this: RawStream): void {
    StreamPipe.#overOf(this, "the stream ended without a Goodbye");
  }

  static #cancelled(this: RawStream): void {
    StreamPipe.#overOf(this, "the stream was cancelled or its connection ended");
  }

  static #error(this: RawStream, error: Error): void {
    StreamPipe.#overOf(this, error.message);
  }

  static #close(this: RawStream): void {
    StreamPipe.#overOf(this, "the stream closed");
  }

  static #overOf(stream: RawStream, reason: string): void {
    const pipe = stream[PIPE];
    if (pipe !== undefined) pipe.#over(reason);
  }

  /** One for all frames: no closure per message. */
  readonly #onWritten = (): void => {
    this.#unwritten--;
    if (this.#endReason !== undefined) this.#finishWhenWritten();
  };

  #finishWhenWritten(): void {
    if (this.#closed || this.#finishing || this.#unwritten > 0) return;
    this.#finishing = true;
    this.#endings.finish(this.#endReason ?? "");
  }
}
