import type { IndexReport, ItemReport, Nack } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Payload } from "./payload.ts";

/** Fixed fields, tags and the envelope's header of a small message, bytes: an upper estimate. */
export const SMALL_BYTES = 160;

/** Fixed fields and tags of one item report, its digest among them, bytes. */
export const REPORT_BYTES = 128;

/**
 * What a message counts in the byte budget: an upper estimate that costs nothing. Bodies come with their exact size
 * from where they were read, so only messages without bodies are estimated here.
 */
export function payloadBytes(payload: Payload): number {
  switch (payload.case) {
    case "itemReport":
      return SMALL_BYTES + reportBytes(payload.value);
    case "itemReports": {
      let bytes = SMALL_BYTES + indexReportBytes(payload.value.index);
      for (const report of payload.value.items) bytes += reportBytes(report);
      return bytes;
    }
    case "rangeDigestReply":
      return SMALL_BYTES + sumOf(payload.value.digests);
    case "rangeDigestRequest":
      return SMALL_BYTES + sumOf(payload.value.paths) + 4 * payload.value.paths.length;
    case "indexReport":
      return indexReportBytes(payload.value);
    case "blobUnavailable":
      return SMALL_BYTES + nackBytes(payload.value.nack);
    case "frameNack":
      return SMALL_BYTES + nackBytes(payload.value.nack);
    case "factRejection":
      return SMALL_BYTES + nackBytes(payload.value.nack);
    case "goodbye":
      return SMALL_BYTES + payload.value.message.length + payload.value.endpoint.length;
    case "protocolError":
      return SMALL_BYTES + payload.value.message.length;
    case "hello":
      return SMALL_BYTES * 3 + payload.value.trustedKeyIds.length * 68;
    case "welcome":
      return SMALL_BYTES * 2 + payload.value.endpoints.length * 64;
    case "revocationPush":
      return SMALL_BYTES * 2 + payload.value.envelope.length + payload.value.reason.length;
    case "revocationAck":
      return SMALL_BYTES + payload.value.detail.length;
    case "driftUpdate":
      return SMALL_BYTES * 2 + payload.value.message.length;
    case "auditEventAck":
      return SMALL_BYTES + payload.value.rejected.length * 48 + payload.value.missing.length * 24;
    case "runnerConfigValidationRequest":
      return SMALL_BYTES + payload.value.specJson.length;
    case "runnerConfigValidationResponse":
      return SMALL_BYTES + payload.value.violations.length * 256 + payload.value.reason.length;
    case "certificateRenewalRequest":
      return SMALL_BYTES + payload.value.csrDer.length;
    case "certificateRenewalResponse":
      return SMALL_BYTES + payload.value.certificatePem.length + payload.value.caBundlePem.length;
    case "auditEventBatch": {
      let bytes = SMALL_BYTES;
      for (const event of payload.value.events) bytes += event.event.length + 96;
      return bytes;
    }
    case "blobChunk":
      return SMALL_BYTES + payload.value.data.length;
    default:
      return SMALL_BYTES;
  }
}

/** An item report within a frame: an upper estimate. */
export function reportBytes(report: ItemReport): number {
  const { kind, name, waitingFor } = report;
  return REPORT_BYTES + kind.length + name.length + waitingFor.length + nackBytes(report.nack);
}

/** An index report within a frame: an upper estimate; 0 for none. */
export function indexReportBytes(report: IndexReport | undefined): number {
  return report === undefined ? 0 : SMALL_BYTES + nackBytes(report.nack);
}

function sumOf(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}

function nackBytes(nack: Nack | undefined): number {
  return nack === undefined ? 0 : 32 + nack.reason.length + nack.detail.length;
}
