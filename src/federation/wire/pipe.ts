/**
 * One gRPC stream as a replaceable pipe for frames. It carries bytes and knows nothing of sessions: numbering, deadlines on top of it and
 * what to send are the session machine's.
 */
export interface WirePipe {
  /** Number of this stream in its session, rising; events carry it so that an old stream cannot act (lessons §1.2). */
  readonly generation: number;
  /** Address of the other end. */
  readonly peer: string;
  /** Writes one encoded envelope. False: the transport takes no more until {@link PipeListener.drained}. */
  send(bytes: Uint8Array): boolean;
  /** Stops reading; the peer is slowed down by HTTP/2 flow control. */
  pause(): void;
  resume(): void;
  /**
   * Ends the stream: never a graceful close of the connection (lessons §1.6). What was sent before may still leave for `lingerMs`; then,
   * or at once with 0, the socket is destroyed. {@link PipeListener.closed} follows.
   */
  destroy(reason: string, lingerMs: number): void;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/** What a pipe tells its owner; nothing after `closed`. */
export interface PipeListener {
  /** One frame as it came; parse it with decodeEnvelope. */
  received(bytes: Uint8Array): void;
  /** `send` may go on. */
  drained(): void;
  /** The stream is over, whoever ended it. Called exactly once. */
  closed(reason: string): void;
}
