import type { Principal } from "../../../api/grpc/principal.ts";
import { rfc3339Seconds } from "../../../base/clock.ts";
import type { HubSessionView } from "../../session/hub/view.ts";
import type { AgentView } from "../hub-view.ts";

/** How long two agents with one certificate are shown after their last turn, milliseconds: a few turns of 30 s. */
const RIVAL_SHOWN_MS = 300_000;

/** What operators see of a session. Pure. */
export function agentView(
  session: HubSessionView,
  offered: AgentView["offered"],
  principal: Principal | undefined,
  nowMs: number,
): AgentView {
  const connected = session.phase === "live";
  const { rivalMs } = session;
  return {
    cluster: session.cluster,
    connected,
    sessionId: session.sessionId,
    term: session.term,
    agentVersion: session.agentVersion,
    protocolVersion: session.protocolVersion,
    ...(session.connectedAtMs === 0 ? {} : { connectedAtMs: session.connectedAtMs }),
    ...(session.lastSeenMs === 0 ? {} : { lastSeenMs: session.lastSeenMs }),
    ...(session.roundTripMs === undefined ? {} : { rttMs: session.roundTripMs }),
    ...(session.held === undefined ? {} : { held: session.held }),
    ...(offered === undefined ? {} : { offered }),
    ...(session.refused === undefined ? {} : { refusedIndex: session.refused }),
    auditBacklog: session.auditBacklogEvents,
    auditStoredThrough: session.auditStoredThrough,
    ...(principal === undefined ? {} : { certificateNotAfterMs: principal.notAfterMs }),
    ...(rivalMs !== undefined && nowMs - rivalMs < RIVAL_SHOWN_MS ? { rivalMs } : {}),
    degradedReason: connected ? "" : (session.lastDisconnect?.reason ?? "NeverConnected"),
    revocationsSentThrough: session.revocationsSentThrough,
    queuedBytes: session.queuedBytes,
    needsResync: session.needsResync,
    lastDisconnect: session.lastDisconnect === undefined ? "" : disconnectText(session.lastDisconnect),
  };
}

/** Why and when, as people read it: who is not connected has been disconnected, which needs no saying. */
function disconnectText({ reason, detail, atMs }: NonNullable<HubSessionView["lastDisconnect"]>): string {
  return `${reason === "Disconnected" ? "" : `${reason}: `}${detail} (${rfc3339Seconds(atMs)})`;
}
