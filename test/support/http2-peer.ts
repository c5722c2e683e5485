import { once } from "node:events";
import { type TLSSocket, connect } from "node:tls";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

/** Types of HTTP/2 frames (RFC 9113 §6). */
export const FrameType = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;
const FLAG_END_HEADERS = 4;

/** One HTTP/2 frame, byte by byte: what no library would send. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block of literals without indexing (RFC 7541 §6.2.2): legible to every decoder. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const text = (value: string): Buffer => Buffer.concat([integer(value.length, 0x7f), Buffer.from(value)]);
  return Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** HEADERS that open a federation stream. */
export function openStream(stream: number): Buffer {
  const block = headerBlock({
    ":method": "POST",
    ":scheme": "https",
    ":path": "/conductor.federation.v1alpha1.FederationService/Stream",
    ":authority": "hub",
    "content-type": "application/grpc",
    te: "trailers",
  });
  return frame(FrameType.headers, FLAG_END_HEADERS, stream, block);
}

/** An authenticated connection that speaks HTTP/2 by hand. */
export class Http2Peer {
  readonly socket: TLSSocket;
  closed = false;
  bytes = 0;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("error", () => {
      // how it ends is what the test looks at
    });
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("data", (data) => {
      this.bytes += data.length;
    });
  }

  /** TLS is up; nothing was said. */
  static async connect(port: number, tls: TlsMaterial): Promise<Http2Peer> {
    const socket = connect({
      host: "127.0.0.1",
      port,
      cert: tls.certificatePem,
      key: tls.privateKeyPem,
      ca: tls.caPem,
      servername: "localhost",
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.3",
    });
    await once(socket, "secureConnect");
    return new Http2Peer(socket);
  }

  /** Preface and empty SETTINGS. */
  preface(): void {
    this.send(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(FrameType.settings, 0, 0));
  }

  send(...frames: readonly Uint8Array[]): void {
    if (!this.closed) this.socket.write(Buffer.concat(frames));
  }

  /** Sends `burst` again each time the answer to the last one came, until the connection ends: never more than the library queues. */
  flood(burst: Uint8Array, answerBytes: number): void {
    let owed = 0;
    this.socket.on("data", (data) => {
      owed += data.length;
      if (owed < answerBytes) return;
      owed -= answerBytes;
      this.send(burst);
    });
    this.send(burst);
  }
}

function integer(value: number, prefix: number): Buffer {
  if (value < prefix) return Buffer.from([value]);
  const bytes = [prefix];
  let rest = value - prefix;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
