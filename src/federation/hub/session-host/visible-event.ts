import type { HubEvent } from "../../session/hub/events.ts";

/** True for events that change what operators see. */
export function isVisible(event: HubEvent): boolean {
  switch (event.type) {
    case "FrameReceived": {
      const { payload } = event.envelope;
      if (payload.case === "itemReports") return payload.value.index !== undefined;
      return payload.case === "heartBeat" || payload.case === "indexReport";
    }
    case "StreamBlocked":
    case "StreamDrained":
    case "BlobPinned":
    case "Respond":
    case "Tick":
      return false;
    default:
      return true;
  }
}
