import {
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  create,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  Metadata,
} from "@grpc/grpc-js";
import { type Encodable, methodDefinition } from "./service-definition.ts";
import { GrpcStatusError, Status, fromServiceError } from "./status-error.ts";

/** Options of one call. */
export interface ClientCallOptions {
  /** Time the call may take, milliseconds. Default for unary calls: {@link DEFAULT_DEADLINE_MS}; streams have none. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** For example `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Deadline of a unary call that names none. */
export const DEFAULT_DEADLINE_MS = 15_000;

/** Caller of one method, by its kind. Every failure is a {@link GrpcStatusError}. */
export type MethodCaller<M> = M extends { methodKind: infer K; input: infer I; output: infer O }
  ? I extends DescMessage
    ? O extends DescMessage
      ? K extends "unary"
        ? (request: MessageInitShape<I>, options?: ClientCallOptions) => Promise<MessageShape<O>>
        : K extends "server_streaming"
          ? (request: MessageInitShape<I>, options?: ClientCallOptions) => AsyncIterable<MessageShape<O>>
          : K extends "bidi_streaming"
            ? (options?: ClientCallOptions) => ClientDuplexStream<MessageShape<I> | Uint8Array, MessageShape<O>>
            : never
      : never
    : never
  : never;

/** Typed client of a service. */
export type GrpcClient<S extends DescService> = { readonly [P in keyof S["method"]]: MethodCaller<S["method"][P]> } & {
  /** Closes the channel; calls under way fail with UNAVAILABLE or CANCELLED. */
  close(): void;
  /** Resolves when connected. @throws GrpcStatusError DEADLINE_EXCEEDED */
  ready(deadlineMs: number): Promise<void>;
};

/** Where and how a client connects. */
export interface GrpcClientOptions {
  /** `host:port`, or `ipv4:host:port,host:port…` for servers of which any may answer. */
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly channel?: ChannelOptions;
}

/** A typed client of a protobuf-es service over grpc-js. */
export function createGrpcClient<S extends DescService>(service: S, options: GrpcClientOptions): GrpcClient<S> {
  const client = new Client(options.address, options.credentials, {
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": 1,
    ...nameOf(options.address),
    ...options.channel,
  });
  const callers: Record<string, unknown> = {};
  for (const method of service.methods) callers[method.localName] = caller(client, method);
  callers["close"] = () => client.close();
  callers["ready"] = (deadlineMs: number) =>
    new Promise<void>((resolve, reject) => {
      client.waitForReady(new Date(Date.now() + deadlineMs), (error) => {
        if (error === undefined) resolve();
        else
          reject(
            new GrpcStatusError(Status.DEADLINE_EXCEEDED, `${options.address}: no connection within ${deadlineMs} ms`, {
              cause: error,
            }),
          );
      });
    });
  return callers as GrpcClient<S>;
}

/** The library takes a whole list of addresses for the name of the server. */
function nameOf(address: string): ChannelOptions {
  const first = /^ipv4:(?<first>[^,]+),/.exec(address)?.groups?.["first"];
  return first === undefined ? {} : { "grpc.default_authority": first };
}

function caller(client: Client, method: DescMethod): unknown {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  switch (method.methodKind) {
    case "unary":
      return (request: MessageInitShape<DescMessage>, options: ClientCallOptions = {}) =>
        new Promise((resolve, reject) => {
          const call = client.makeUnaryRequest<Encodable, Encodable>(
            path,
            requestSerialize,
            responseDeserialize,
            create(method.input, request),
            metadataOf(options),
            callOptions({ deadlineMs: DEFAULT_DEADLINE_MS, ...options }),
            (error, reply) => {
              options.signal?.removeEventListener("abort", cancel);
              if (error) reject(fromServiceError(error));
              else resolve(reply);
            },
          );
          const cancel = (): void => call.cancel();
          onAbort(options.signal, cancel);
        });
    case "server_streaming":
      return (request: MessageInitShape<DescMessage>, options: ClientCallOptions = {}) =>
        readAll(
          () =>
            client.makeServerStreamRequest<Encodable, Encodable>(
              path,
              requestSerialize,
              responseDeserialize,
              create(method.input, request),
              metadataOf(options),
              callOptions(options),
            ),
          options.signal,
        );
    case "bidi_streaming":
      return (options: ClientCallOptions = {}) => {
        const call = client.makeBidiStreamRequest<Encodable, Encodable>(
          path,
          requestSerialize,
          responseDeserialize,
          metadataOf(options),
          callOptions(options),
        );
        onAbort(options.signal, () => call.cancel());
        return call;
      };
    case "client_streaming":
      throw new TypeError(`${path}: client streaming is not part of any published contract of this house`);
  }
}

async function* readAll(
  open: () => AsyncIterable<unknown> & { cancel(): void },
  signal: AbortSignal | undefined,
): AsyncGenerator {
  const call = open();
  const cancel = (): void => call.cancel();
  onAbort(signal, cancel);
  try {
    for await (const message of call) yield message;
  } catch (error) {
    throw fromServiceError(error);
  } finally {
    signal?.removeEventListener("abort", cancel);
    call.cancel();
  }
}

function onAbort(signal: AbortSignal | undefined, cancel: () => void): void {
  if (signal?.aborted) cancel();
  else signal?.addEventListener("abort", cancel, { once: true });
}

function metadataOf(options: ClientCallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.headers ?? {})) metadata.set(name, value);
  return metadata;
}

function callOptions(options: ClientCallOptions): CallOptions {
  return options.deadlineMs === undefined ? {} : { deadline: new Date(Date.now() + options.deadlineMs) };
}
