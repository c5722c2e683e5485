import { fromBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { errorMessage } from "../../base/errors.ts";
import { MAX_FRAME_BYTES } from "../session/limits.ts";

/** Outcome of {@link decodeEnvelope}. */
export type Decoded =
  | { readonly ok: true; readonly envelope: Envelope }
  | { readonly ok: false; readonly tooLarge: boolean; readonly detail: string };

/** Parses one frame; garbage and frames over the limit are answers, never exceptions. */
export function decodeEnvelope(bytes: Uint8Array): Decoded {
  if (bytes.length > MAX_FRAME_BYTES)
    return { ok: false, tooLarge: true, detail: `frame: at most ${MAX_FRAME_BYTES} bytes, found ${bytes.length}` };
  try {
    return { ok: true, envelope: fromBinary(EnvelopeSchema, bytes) };
  } catch (error) {
    return { ok: false, tooLarge: false, detail: `frame: an Envelope, found garbage (${errorMessage(error)})` };
  }
}
