import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { Http2ServerRequest, type ServerHttp2Session } from "node:http2";
import { TLSSocket } from "node:tls";

/** A request of either protocol. */
export type ApiRequest = IncomingMessage | Http2ServerRequest;
/** Its answer: what the classes of both protocols have in common. */
export interface ApiResponse {
  readonly headersSent: boolean;
  readonly statusCode: number;
  setHeader(name: string, value: string | readonly string[]): unknown;
  writeHead(code: number, headers: OutgoingHttpHeaders): unknown;
  /** HTTP/1.1 alone: sends the headers before there is a body, as HTTP/2 does anyway. */
  flushHeaders?(): void;
  write(chunk: Uint8Array | string): boolean;
  end(): unknown;
  destroy(error?: Error): unknown;
  on(event: "drain" | "close" | "error", listener: () => void): unknown;
  once(event: "drain" | "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
}

/** What lasts from one request of a client to the next: its HTTP/2 session or its socket. */
export function connectionOf(request: ApiRequest): ServerHttp2Session | IncomingMessage["socket"] | undefined {
  return request instanceof Http2ServerRequest
    ? (request.stream.session as ServerHttp2Session | undefined)
    : request.socket;
}

/** The TLS side of the connection; undefined without TLS and when the client is gone. */
export function tlsSocketOf(request: ApiRequest): TLSSocket | undefined {
  const socket = request instanceof Http2ServerRequest ? request.stream.session?.socket : request.socket;
  return socket instanceof TLSSocket ? socket : undefined;
}

/** Every value of a header that may be repeated, as sent: the joined form of Node cannot be taken apart again. */
export function headerValues({ rawHeaders }: ApiRequest, name: string): readonly string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    if (rawHeaders[index]?.toLowerCase() === name) values.push(rawHeaders[index + 1] ?? "");
  return values;
}

/** The address the client used, for documents that repeat it. */
export function authorityOf(request: ApiRequest): string {
  return (request instanceof Http2ServerRequest ? request.authority : request.headers.host) ?? "";
}
