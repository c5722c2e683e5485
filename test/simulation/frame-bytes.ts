import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";

/** Bytes of bodies in a frame, measured from the message itself: a lower bound of its size that owes nothing to what a machine counts. */
export function bodyBytes({ payload }: Envelope): number {
  switch (payload.case) {
    case "blobChunk":
      return payload.value.data.length;
    case "indexOffer": {
      let bytes = 0;
      for (const blob of payload.value.blobs) bytes += blob.data.length;
      if (payload.value.form.case === "full") bytes += payload.value.form.value.body.length;
      return bytes;
    }
    case "auditEventBatch":
      return payload.value.events.reduce((sum, { event }) => sum + event.length, 0);
    case "driftUpdate":
      return payload.value.message.length;
    case "runnerConfigValidationResponse":
      return payload.value.violations.reduce((sum, { message }) => sum + message.length, 0);
    default:
      return 0;
  }
}
