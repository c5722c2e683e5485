import { type ChannelInterface, Client, type ClientDuplexStream, Metadata, connectivityState } from "@grpc/grpc-js";
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import { KEEPALIVE_PING_MS, KEEPALIVE_TIMEOUT_MS } from "../../trust/tls/connection-limits.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import type { TlsMaterial } from "../../trust/tls/tls-material.ts";
import type { TlsSessions } from "../../trust/tls/tls-sessions.ts";
import { GRPC_MESSAGE_LIMIT_BYTES, STREAM_METHOD } from "./stream-method.ts";
import type { PipeListener, WirePipe } from "./pipe.ts";
import { StreamPipe } from "./stream-pipe.ts";

/** Deadline of each connect phase, milliseconds (lessons §1.5). */
export interface DialDeadlines {
  readonly tcpMs: number;
  readonly tlsMs: number;
  readonly settingsMs: number;
}

/** TCP 5 s, TLS 10 s, HTTP/2 settings 10 s; hello is the session's. */
export const DEFAULT_DIAL_DEADLINES: DialDeadlines = { tcpMs: 5_000, tlsMs: 10_000, settingsMs: 10_000 };

/** HTTP/2 receive window of an agent, bytes: two chunks in flight on a long path. */
const FLOW_CONTROL_WINDOW_BYTES = 512 * 1024;

/**
 * Who hears of the TCP socket that the library makes for a dial, before it is connected. The library forgets a socket that nobody answers
 * when its channel is closed, and the kernel would go on asking for two minutes: an agent that dials every few seconds would have a dozen
 * such sockets, all of which a hub has to take in, and to see closed, when the path is back.
 */
const DIALLING = new AsyncLocalStorage<(socket: Socket) => void>();
subscribe("net.client.socket", (message) => {
  const socket: unknown = Reflect.get(Object(message), "socket");
  if (socket instanceof Socket) DIALLING.getStore()?.(socket);
});

/** Why a dial failed: names the endpoint and the phase. */
export class DialError extends Error {
  /** False when nobody answered: no TCP connection came up, or nothing was heard until the deadline of the TLS handshake. */
  readonly answered: boolean;

  constructor(message: string, answered: boolean) {
    super(message);
    this.name = "DialError";
    this.answered = answered;
  }
}

/** Connect phases, as errors name them. */
type DialPhase = "TCP connect" | "TLS handshake" | "HTTP/2 settings";

/** Options of {@link dialStream}. */
export interface DialOptions {
  /** `host:port`. */
  readonly endpoint: string;
  readonly tls: TlsMaterial;
  /** Name the hub's certificate must hold instead of the host. */
  readonly serverName?: string;
  /** TLS sessions of earlier dials with this material. */
  readonly sessions?: TlsSessions;
  readonly generation: number;
  readonly listener: PipeListener;
  readonly deadlines?: DialDeadlines;
  readonly signal: AbortSignal;
}

/**
 * Opens the federation stream: one connection for one stream. Resolves when HTTP/2 is up and the stream is open.
 *
 * @throws DialError that names the phase and the endpoint; the socket is destroyed
 */
export function dialStream(options: DialOptions): Promise<WirePipe> {
  const { endpoint, generation, signal, deadlines = DEFAULT_DIAL_DEADLINES } = options;
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined;
    let phase: DialPhase = "TCP connect";
    let timer: NodeJS.Timeout | undefined;
    let settled = false;

    const enter = (name: DialPhase, ms: number): void => {
      phase = name;
      clearTimeout(timer);
      timer = setTimeout(() => fail(`not finished within ${ms} ms`, name === "HTTP/2 settings"), ms);
    };
    const release = (): void => {
      socket?.destroy();
      client.close();
    };
    const fail = (why: string, answered = phase !== "TCP connect" || wasReset(why)): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      call.cancel();
      release();
      reject(new DialError(`${endpoint}: ${phase}: ${why}`, answered));
    };
    const onAbort = (): void => fail("the agent stops");

    const credentials = clientCredentials(options.tls, {
      handshakeMs: deadlines.tlsMs,
      ...(options.serverName === undefined ? {} : { serverName: options.serverName }),
      ...(options.sessions === undefined ? {} : { sessions: options.sessions }),
      onTcp: (tcp) => {
        // A dial given up on before TCP answered: the late socket goes at once.
        if (settled) {
          tcp.destroy();
          return;
        }
        socket = tcp;
        enter("TLS handshake", deadlines.tlsMs);
      },
      onTls: (tls) => {
        if (settled) {
          tls.destroy();
          return;
        }
        socket = tls;
        enter("HTTP/2 settings", deadlines.settingsMs);
      },
    });
    const client = new Client(endpoint, credentials, {
      "grpc.enable_channelz": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.keepalive_time_ms": KEEPALIVE_PING_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.max_receive_message_length": GRPC_MESSAGE_LIMIT_BYTES,
      "grpc.max_send_message_length": GRPC_MESSAGE_LIMIT_BYTES,
      "grpc-node.flow_control_window": FLOW_CONTROL_WINDOW_BYTES,
    });
    enter("TCP connect", deadlines.tcpMs);
    const made = (connecting: Socket): void => {
      if (settled) connecting.destroy();
      else socket ??= connecting;
    };
    const call: ClientDuplexStream<Uint8Array, Uint8Array> = DIALLING.run(made, () =>
      client.makeBidiStreamRequest(
        STREAM_METHOD.path,
        STREAM_METHOD.requestSerialize,
        STREAM_METHOD.responseDeserialize,
        new Metadata(),
        {},
      ),
    );
    const failed = (error: Error): void => fail(causeOf(error));
    call.once("error", failed);
    signal.addEventListener("abort", onAbort, { once: true });
    // Not waitForReady: it asks a channel that was closed meanwhile to connect, and such a channel dials on for ever.
    onceReady(client.getChannel(), () => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      call.off("error", failed);
      const pipe = new StreamPipe(
        call,
        { generation, peer: endpoint },
        {
          finish: () => {
            call.end();
          },
          destroy: () => {
            call.cancel();
            release();
          },
        },
        options.listener,
      );
      resolve(pipe);
    });
  });
}

/** Calls `ready` once the channel is READY; never for one that is closed before. Does not itself ask the channel to connect. */
function onceReady(channel: ChannelInterface, ready: () => void): void {
  const state = channel.getConnectivityState(false);
  if (state === connectivityState.READY) ready();
  else if (state !== connectivityState.SHUTDOWN) {
    channel.watchConnectivityState(state, Infinity, () => onceReady(channel, ready));
  }
}

/** A reset that came before anybody looked at the new connection is the fate of that connection; a port without a listener is ECONNREFUSED. */
function wasReset(why: string): boolean {
  return why.includes("ECONNRESET");
}

/** What went wrong beneath, without the library's words around it. */
function causeOf(error: Error): string {
  return /Last error: (?:Error: )?(.+?)\. Resolution note:/s.exec(error.message)?.[1] ?? error.message;
}
