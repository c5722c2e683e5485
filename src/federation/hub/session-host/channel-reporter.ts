import type { HubEffect } from "../../session/hub/effects.ts";
import type { HubSessionView } from "../../session/hub/view.ts";
import type { ChannelState } from "../mirror/channel-state.ts";
import type { HostScope } from "./host-scope.ts";

type ChannelChange = Extract<HubEffect, { type: "ChannelChanged" }>;

/** Tells of transitions of one channel: to metrics and log at once, to the status one after the other, of several that wait only the newest. */
export class ChannelReporter {
  readonly #scope: HostScope;
  #waiting: ChannelState | undefined;
  #writing = false;

  constructor(scope: HostScope) {
    this.#scope = scope;
  }

  /** @param term under which this replica owned the session last, also when no stream carries it now */
  report({ connected, reason, detail }: ChannelChange, session: HubSessionView, term: bigint): void {
    const { cluster, shared, log } = this.#scope;
    const { metrics, replica, onChannel } = shared.options;
    metrics.gauge("federation_degraded", connected ? 0 : 1, { cluster });
    log.info({ connected, reason, detail }, "channel changed");
    if (onChannel === undefined) return;
    this.#waiting = {
      connected,
      reason,
      detail,
      sessionId: session.sessionId,
      term,
      replica,
      agentVersion: session.agentVersion,
      ...(session.protocolVersion === 0 ? {} : { protocolVersion: session.protocolVersion }),
      auditBacklogEvents: Number(session.auditBacklogEvents),
      ...(session.lastSeenMs === 0 ? {} : { lastSeenMs: session.lastSeenMs }),
      ...(session.roundTripMs === undefined ? {} : { rttMs: session.roundTripMs }),
    };
    if (!this.#writing) void this.#drain(onChannel);
  }

  async #drain(write: (cluster: string, state: ChannelState) => Promise<void>): Promise<void> {
    this.#writing = true;
    for (let state = this.#waiting; state !== undefined; state = this.#waiting) {
      this.#waiting = undefined;
      try {
        await write(this.#scope.cluster, state);
      } catch (error) {
        // Status only: the next transition writes again.
        this.#scope.log.warn({ err: error }, "state of the channel could not be written");
      }
    }
    this.#writing = false;
  }
}
