import { type ServerDuplexStream, status as Status } from "@grpc/grpc-js";
import type { GrpcService } from "../../api/grpc/service-implementation.ts";
import type { Principal } from "../../api/grpc/principal.ts";
import { FederationService } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { statusObject, statusOf } from "../../api/grpc/status-error.ts";
import type { TlsConnection } from "../../trust/tls/live-connection.ts";
import type { PipeListener, WirePipe } from "./pipe.ts";
import { type StreamEndings, StreamPipe } from "./stream-pipe.ts";
import { STREAM_SERVICE } from "./stream-method.ts";

/** A stream that was opened by an authenticated agent and belongs to no session yet. */
export interface IncomingStream {
  readonly principal: Principal;
  readonly peer: string;
  /** Takes the stream over. Reading starts now. */
  accept(generation: number, listener: PipeListener): WirePipe;
}

/** Options of {@link federationService}. */
export interface FederationServiceOptions {
  /** The TLS connection of a peer, so that a missed deadline can destroy the socket. */
  connection(peer: string): TlsConnection | undefined;
  /** Decides what becomes of a new stream. Throws a GrpcStatusError to refuse it. */
  onStream(stream: IncomingStream): void;
}

/** FederationService for startGrpcServer. */
export function federationService(options: FederationServiceOptions): GrpcService {
  return {
    descriptor: FederationService,
    definition: STREAM_SERVICE,
    unary: () => new Map(),
    bind: (hooks) => ({
      stream: (call: ServerDuplexStream<Uint8Array, Uint8Array>) => {
        const refuse = (error: unknown): void => {
          call.emit("error", statusObject(statusOf(error)));
        };
        const open = async (): Promise<void> => {
          const peer = call.getPeer();
          const principal = await hooks.principal(peer, call.metadata);
          if (principal === undefined || call.cancelled) return;
          options.onStream({
            principal,
            peer,
            accept: (generation, listener) =>
              new StreamPipe(
                call,
                { generation, peer },
                new ServerEndings(call, connectionOf(options, peer)),
                listener,
              ),
          });
        };
        open().catch(refuse);
      },
    }),
  };
}

/** The connection of a peer; one that has just gone is gone. */
function connectionOf(options: FederationServiceOptions, peer: string): ServerConnection {
  return options.connection(peer) ?? GONE;
}

type ServerConnection = Pick<TlsConnection, "destroy" | "received" | "onClosed" | "offClosed">;

const GONE: ServerConnection = { destroy() {}, received() {}, onClosed() {}, offClosed() {} };

class ServerEndings implements StreamEndings {
  readonly hangUps: ServerConnection;
  readonly #call: ServerDuplexStream<Uint8Array, Uint8Array>;

  constructor(call: ServerDuplexStream<Uint8Array, Uint8Array>, connection: ServerConnection) {
    this.#call = call;
    this.hangUps = connection;
  }

  finish(reason: string): void {
    // Trailers tell a plain gRPC client what Goodbye told an agent.
    this.#call.emit("error", { code: Status.UNAVAILABLE, details: reason.slice(0, 256) });
  }

  destroy(): void {
    this.hangUps.destroy();
  }

  counted(bytes: number): void {
    this.hangUps.received(bytes);
  }
}
