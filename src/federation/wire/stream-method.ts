import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { FederationService } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { methodPath } from "../../api/grpc/service-definition.ts";
import { MAX_FRAME_BYTES } from "../session/limits.ts";

/** Slack of the library's limit above ours: a slightly larger frame gets ProtocolError TOO_LARGE, a huge one dies while it is parsed. */
const PARSE_SLACK_BYTES = 16 * 1024;

/** Limit that grpc-js enforces from the length prefix on, before it buffers a frame. */
export const GRPC_MESSAGE_LIMIT_BYTES = MAX_FRAME_BYTES + PARSE_SLACK_BYTES;

const raw = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * FederationService/Stream with frames as bytes: garbage becomes an event of the session instead of an error of the library, and frames
 * that were encoded once are passed through.
 */
export const STREAM_METHOD: MethodDefinition<Uint8Array, Uint8Array> = {
  path: methodPath(FederationService.method.stream),
  requestStream: true,
  responseStream: true,
  requestSerialize: raw,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: raw,
  responseDeserialize: (bytes) => bytes,
};

/** Definition of the service for a server. */
export const STREAM_SERVICE: ServiceDefinition = { stream: STREAM_METHOD };
