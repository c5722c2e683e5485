import {
  type DescMessage,
  type Message,
  type MessageInitShape,
  create,
  fromJsonString,
  isMessage,
  toJsonString,
} from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { errorMessage } from "../../base/errors.ts";
import { GrpcStatusError, Status } from "./status-error.ts";

/**
 * First byte of a JSON object. As protobuf it would open a group under field 15, which no message of ours has: so the message itself says
 * what it is, and grpc-js, which keeps the content type to itself, need not be asked.
 */
const OBJECT_START = 0x7b;
/** What answers are of. */
const CONTENT_TYPE = "application/grpc+json";

/** A request of `application/grpc+json`: one JSON object in the frame of gRPC. Its answers are JSON as well. */
export class JsonRequest {
  readonly #schema: DescMessage;
  readonly #bytes: Uint8Array;

  constructor(schema: DescMessage, bytes: Uint8Array) {
    this.#schema = schema;
    this.#bytes = bytes;
  }

  /** @throws GrpcStatusError INVALID_ARGUMENT for bytes that are no JSON form of the message, unknown members included */
  read(): Message {
    try {
      return fromJsonString(this.#schema, new TextDecoder("utf-8", { fatal: true }).decode(this.#bytes));
    } catch (error) {
      throw new GrpcStatusError(
        Status.INVALID_ARGUMENT,
        {
          reason: "InvalidRequest",
          object: this.#schema.name,
          expected: `the JSON form of ${this.#schema.typeName}: ${errorMessage(error)}`,
        },
        { cause: error },
      );
    }
  }
}

/** True for bytes that are a JSON object rather than a message. */
export function isJsonObjectText(bytes: Uint8Array): boolean {
  return bytes[0] === OBJECT_START;
}

/** JSON form of an answer, or of what it is made from. */
export function jsonReply(schema: DescMessage, reply: unknown): Buffer {
  const message = isMessage(reply, schema) ? reply : create(schema, reply as MessageInitShape<DescMessage>);
  return Buffer.from(toJsonString(schema, message));
}

/** Headers of a JSON answer. */
export function jsonHeaders(): Metadata {
  const headers = new Metadata();
  headers.set("content-type", CONTENT_TYPE);
  return headers;
}
