import { encodeFrame } from "../../session/encode-frame.ts";
import { type Frame, payloadCase } from "../../session/frame.ts";
import type { HubEvent } from "../../session/hub/events.ts";
import { logFrame, traceparentOf } from "../../session/trace-context.ts";
import { decodeEnvelope } from "../../wire/decode-envelope.ts";
import type { WirePipe } from "../../wire/pipe.ts";
import type { HostScope } from "./host-scope.ts";

const IN = { dir: "in" };
const OUT = { dir: "out" };

/** What a message of the transport is to the session: counted, decoded, and logged with its trace. */
export function incomingFrame(
  { shared, log }: HostScope,
  generation: number,
  bytes: Uint8Array,
): Extract<HubEvent, { type: "FrameReceived" | "FrameInvalid" }> {
  const { metrics } = shared.options;
  metrics.count("federation_bytes_total", IN, bytes.length);
  const decoded = decodeEnvelope(bytes);
  if (!decoded.ok) {
    metrics.count("federation_messages_total", { type: "invalid", dir: "in" });
    return { type: "FrameInvalid", generation, tooLarge: decoded.tooLarge, detail: decoded.detail };
  }
  const { envelope } = decoded;
  metrics.count("federation_messages_total", { type: envelope.payload.case ?? "unknown", dir: "in" });
  logFrame(log, envelope.payload.case, envelope.traceparent, "from the agent");
  return { type: "FrameReceived", generation, envelope, bytes: bytes.length };
}

/** Encodes a frame, with the bodies that ride with it, and hands it to the transport; false when that takes no more for now. */
export function sendFrame({ shared, log }: HostScope, pipe: WirePipe, frame: Frame): boolean {
  const { metrics } = shared.options;
  const bytes = encodeFrame(frame, shared.shelf);
  metrics.count("federation_bytes_total", OUT, bytes.length);
  const sent = payloadCase(frame.body);
  metrics.count("federation_messages_total", { type: sent, dir: "out" });
  logFrame(log, sent, traceparentOf(frame.body), "to the agent");
  return pipe.send(bytes);
}
