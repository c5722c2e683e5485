import { create } from "@bufbuild/protobuf";
import { type Hello, type Welcome, WelcomeSchema } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { MAX_FRAME_BYTES, WINDOW_FRAMES } from "../limits.ts";
import type { LoadedSession } from "./events.ts";
import type { HubLanes } from "./hub-lanes.ts";
import type { HubStep } from "./step.ts";

/** The answer to Hello, from lanes that were opened with it. `heartbeatMs`: period of heartbeats, milliseconds. */
export function welcomeMessage(
  hello: Hello,
  loaded: LoadedSession,
  lanes: HubLanes,
  heartbeatMs: number,
  step: HubStep,
): Welcome {
  return create(WelcomeSchema, {
    sessionId: loaded.sessionId,
    protocolVersion: lanes.version,
    heartbeatIntervalMs: heartbeatMs,
    maxFrameBytes: MAX_FRAME_BYTES,
    maxInFlightFrames: WINDOW_FRAMES,
    serverTimeUnixMs: BigInt(Math.trunc(step.wallMs)),
    auditResumeSequence: loaded.audit.contiguousThrough,
    auditHighestSequence: loaded.audit.highest,
    auditHighestHash: loaded.audit.highestHash ?? new Uint8Array(),
    term: loaded.term,
    replica: loaded.replica,
    pendingRevocations: lanes.revocations.countAbove(hello.lastRevocationSerial),
    endpoints: [...loaded.endpoints],
    resendFacts: loaded.storeWentBack,
    resendItemReports: lanes.offers.inventoryDiffers(hello.inventoryDigest, loaded.itemLevels),
  });
}
