import type { EventEmitter } from "node:events";
import type { PipeListener, WirePipe } from "./pipe.ts";

/** The part of grpc-js's duplex streams, client's and server's, that a pipe uses. */
export interface RawStream extends EventEmitter {
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
  /**
   * Calls back when the connection is gone; returns the way to stop. Set by the server, whose library reports its own last word as a cancellation long before
   * the bytes have left: what ends a finishing stream there is the peer hanging up, or the linger time.
   */
  readonly onHangUp?: (listener: () => void) => () => void;
}

/** A pipe over one grpc-js stream. If either half fails or ends, the whole is destroyed (lessons §1.4). */
export class StreamPipe implements WirePipe {
  readonly generation: number;
  readonly peer: string;
  readonly #stream: RawStream;
  readonly #endings: StreamEndings;
  readonly #listener: PipeListener;
  readonly #offHangUp: (() => void) | undefined;
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
    stream.on("data", this.#onData);
    stream.on("drain", this.#onDrain);
    // What ends a stream: the peer half-closed it, it was cancelled or reset, or a status or transport error arrived.
    stream.once("end", () => this.#over("the stream ended without a Goodbye"));
    stream.once("cancelled", () => this.#over("the stream was cancelled or its connection ended"));
    stream.on("error", (error: Error) => this.#over(error.message));
    stream.once("close", () => this.#over("the stream closed"));
    this.#offHangUp = endings.onHangUp?.(() => this.#ended("the connection ended"));
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

  #over(reason: string): void {
    if (this.#finishing && this.#endings.onHangUp !== undefined) return;
    this.#ended(reason);
  }

  /** The stream is over: destroys what is left of it and tells the owner, once. */
  #ended(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#ending);
    this.#offHangUp?.();
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
