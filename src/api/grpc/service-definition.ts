import {
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  fromBinary,
  isMessage,
  toBinary,
} from "@bufbuild/protobuf";
import { JsonRequest, isJsonObjectText } from "./json-request.ts";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** What may be written where a message is expected: the message, or its bytes when they were encoded once for many receivers. */
export type Encodable = Message | Uint8Array;

/** Options of {@link serviceDefinition}. */
export interface ServiceDefinitionOptions {
  /** Encoders of hot answers by the method's local name; they take the initialiser of the output as well as the message. */
  readonly encoders?: ReadonlyMap<string, (reply: unknown) => Buffer>;
  /** Decoders of hot questions by the method's local name. */
  readonly decoders?: ReadonlyMap<string, (bytes: Uint8Array) => Message>;
  /** Takes `application/grpc+json` too, on methods with one request. */
  readonly json?: boolean;
}

/** The grpc-js definition of a protobuf-es service: real protobuf on the wire, full names as published. */
export function serviceDefinition(service: DescService, options: ServiceDefinitionOptions = {}): ServiceDefinition {
  const definition: Record<string, MethodDefinition<Encodable, Encodable>> = {};
  for (const method of service.methods) {
    const encoder = options.encoders?.get(method.localName);
    const decoder = options.decoders?.get(method.localName);
    definition[method.localName] = {
      ...methodDefinition(method),
      ...(encoder !== undefined && { responseSerialize: encoder }),
      ...requestDecoder(method, decoder, options.json === true),
    };
  }
  return definition;
}

function requestDecoder(
  method: DescMethod,
  decoder: ((bytes: Uint8Array) => Message) | undefined,
  json: boolean,
): Partial<MethodDefinition<Encodable, Encodable>> {
  const binary = decoder ?? ((bytes: Uint8Array): Message => fromBinary(method.input, bytes));
  if (!json || method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming")
    return { requestDeserialize: binary };
  const decode = (bytes: Buffer): unknown =>
    isJsonObjectText(bytes) ? new JsonRequest(method.input, bytes) : binary(bytes);
  return { requestDeserialize: decode as MethodDefinition<Encodable, Encodable>["requestDeserialize"] };
}

/** The grpc-js definition of one method. */
export function methodDefinition(method: DescMethod): MethodDefinition<Encodable, Encodable> {
  return {
    path: methodPath(method),
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: serializer(method.input),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: serializer(method.output),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    originalName: method.name,
  };
}

/** `/package.Service/Method`. */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Encodes messages of one schema; bytes pass through untouched. */
function serializer(schema: DescMessage): (value: Encodable) => Buffer {
  return (value) => {
    if (isMessage(value, schema)) return asBuffer(toBinary(schema, value));
    if (value instanceof Uint8Array) return asBuffer(value);
    throw new TypeError(`expected ${schema.typeName} or its bytes`);
  };
}

/** grpc-js copies out of Buffers; a view shares the memory. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
