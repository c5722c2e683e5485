import { create } from "@bufbuild/protobuf";
import { GoodbyeSchema, Goodbye_Code } from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import {
  ACKNOWLEDGEMENT_STALL_MS,
  DRAIN_TIMEOUT_MS,
  HEARTBEAT_INTERVAL_MS,
  HELLO_DEADLINE_MS,
  LOAD_DEADLINE_MS,
  MAX_RETRY_AFTER_MS,
  REDIAL,
  SILENCE_LIMIT_MS,
  SUPERSEDED_WAIT_MS,
} from "../../../src/federation/session/limits.ts";
import { Hub } from "../hub.ts";
import type { Link, LinkEnd } from "../link.ts";
import { must } from "../world.ts";
import { HandPeer } from "./hand-peer.ts";
import type { Scenario } from "./scenario.ts";

const MINUTE_MS = 60_000;
/** How late a limit may be met: a look, and the delays of the path. */
const SLACK_MS = 2_000;

/** Only configured endpoints lead somewhere. */
class MovedHub extends Hub {
  override accept(
    cluster: string,
    connect: (end: LinkEnd) => Link,
    endpoints: readonly string[] = [],
  ): Link | undefined {
    return endpoints.length > 0 ? undefined : super.accept(cluster, connect);
  }
}

/** How streams end, and how agents come back. */
export const STREAMS: readonly Scenario[] = [
  {
    name: "an agent from which nothing arrives is taken for dead when its silence reaches the limit",
    run(begin) {
      const small = begin();
      small.agent.wire.stuck = "up";
      small.until("the hub ends the stream", SILENCE_LIMIT_MS + SLACK_MS, () => !small.session.connected);
    },
  },
  {
    name: "an agent that talks and answers no heartbeat is taken for dead after three",
    run(begin) {
      const small = begin({ boots: false });
      const peer = new HandPeer(small);
      peer.answers = false;
      peer.hello();
      small.until("Welcome", 5_000, () => small.session.connected);
      peer.ack = 2n; // Welcome and the offer: nothing else may end the stream
      const limitMs = 4.5 * HEARTBEAT_INTERVAL_MS;
      small.until("the hub ends the stream", limitMs, () => !small.session.connected);
    },
  },
  {
    name: "a machine that is suspended with its hub goes on over the stream it had",
    run(begin) {
      const small = begin();
      const dials = small.agent.session?.counters.dials;
      small.agent.freeze(10 * MINUTE_MS);
      small.hub.freeze(10 * MINUTE_MS);
      small.runFor(12 * MINUTE_MS);
      must(small.agent.session?.counters.dials === dials, "the agent dialled again");
      must(small.session.connected && small.agent.session?.connected === true, "the stream ended");
    },
  },
  {
    name: "a peer that does not read is let go when the transport has not drained in its time",
    run(begin) {
      const small = begin({ boots: false });
      const peer = new HandPeer(small);
      peer.hello();
      small.until("Welcome", 5_000, () => small.session.connected);
      peer.wire.stuck = "down";
      for (let at = 0; at < 40; at++) small.hub.drift(small.cluster, `signal-${at}`);
      small.until("the hub ends the stream", DRAIN_TIMEOUT_MS + SLACK_MS, () => !small.session.connected);
    },
  },
  {
    name: "a hub that does not read is left when the transport has not drained in its time",
    run(begin) {
      const small = begin();
      small.agent.wire.stuck = "up";
      for (let at = 0; at < 40; at++) small.agent.fact(`fact-${at}`);
      const limitMs = DRAIN_TIMEOUT_MS + SLACK_MS;
      small.until("the agent ends the stream", limitMs, () => small.agent.session?.connected !== true);
      small.agent.wire.stuck = undefined;
      small.converge(3 * MINUTE_MS);
    },
  },
  {
    name: "an agent that acknowledges nothing loses its stream, and until then holds no more than its budget",
    run(begin) {
      const small = begin({ boots: false });
      const peer = new HandPeer(small);
      peer.hello();
      small.until("Welcome", 5_000, () => small.session.connected);
      small.hub.off.driftText = 40_000;
      for (let at = 0; at < 60; at++) small.hub.drift(small.cluster, `long-${at}`);
      small.runFor(100);
      small.hub.off.driftText = undefined;
      for (let at = 0; at < 3_000; at++) small.hub.drift(small.cluster, `signal-${at}`);
      for (let at = 0; at < 40; at++) small.put(`big-${at}`, "none", 60_000);
      for (let at = 0; at < 200; at++) small.hub.revoke(small.cluster, small.state.revoke(`pack-${at}`));
      const limitMs = ACKNOWLEDGEMENT_STALL_MS + SLACK_MS;
      small.until("the hub ends the stream", limitMs, () => {
        small.hub.checkMemory();
        return !small.session.connected;
      });
      must(peer.count("revocationPush") > 0, "revocations found no room");
      must(small.session.view().counters.messagesRefused > 0, "the queue refused nothing");
    },
  },
  {
    name: "agents that the hub keeps waiting at Welcome dial again",
    run(begin) {
      const small = begin();
      let dials = 0;
      small.agent.onDial = () => dials++;
      small.hub.off.loads = true;
      small.agent.reset();
      small.until("the agent dials", MINUTE_MS, () => dials === 1);
      small.until("the agent dials again", HELLO_DEADLINE_MS + 3_000, () => dials > 1);
      small.hub.off.loads = false;
      small.converge(2 * MINUTE_MS);
    },
  },
  {
    name: "a stream whose session cannot be loaded is sent away in time",
    run(begin) {
      const small = begin({ boots: false });
      small.hub.off.loads = true;
      const peer = new HandPeer(small);
      peer.hello();
      small.until("the hub takes Hello", 5_000, () => small.session.occupied);
      small.until("the hub ends the stream", LOAD_DEADLINE_MS + SLACK_MS, () => !small.session.occupied);
    },
  },
  {
    name: "while nobody answers an agent dials every few seconds, and at once after a stream that was healthy",
    run(begin) {
      const small = begin();
      let dials = 0;
      small.agent.onDial = () => dials++;
      small.hub.off.processMs = 15 * MINUTE_MS;
      small.hub.crash(0);
      small.runFor(14 * MINUTE_MS);
      const least = (14 * MINUTE_MS) / REDIAL.capMs;
      must(dials >= least && dials <= 3 * least, `${dials} dials in a quarter of an hour`);
      small.converge(3 * MINUTE_MS);
      for (let at = 0; at < 5; at++) {
        small.runFor(2 * MINUTE_MS);
        small.agent.reset();
        small.runFor(30); // both sides have heard of it
        small.until(
          "the agent is back",
          2_500,
          () => small.agent.session?.connected === true && small.session.connected,
        );
        small.runFor(5_000);
      }
    },
  },
  {
    name: "a hub cannot send its agents away for longer than the limit",
    run(begin) {
      const small = begin();
      small.hub.evict(small.cluster, 365 * 24 * 60 * MINUTE_MS);
      small.until("the agent leaves", 5_000, () => small.agent.session?.connected === false);
      small.until("the agent is back", 1.1 * MAX_RETRY_AFTER_MS + SLACK_MS, () => small.session.connected);
    },
  },
  {
    name: "an agent that was superseded stays away for half a minute, whatever the hub asks",
    run(begin) {
      const small = begin();
      small.hub.evict(small.cluster, 0, "", Goodbye_Code.SUPERSEDED);
      small.until("the agent leaves", 5_000, () => small.agent.session?.connected === false);
      small.runFor(SUPERSEDED_WAIT_MS - 500);
      must(small.agent.session?.connected === false, "it came back at once");
      small.converge(10_000);
    },
  },
  {
    name: "an agent that was sent to an endpoint that is gone comes back to those it was configured with",
    run(begin) {
      const small = begin({ makeHub: (world, states) => new MovedHub(world, states) });
      const tried: string[] = [];
      small.agent.onDial = ([first = "configured"]) => tried.push(first);
      small.hub.evict(small.cluster, 500, "hub-9.gone:9443");
      small.until("the agent leaves", 5_000, () => small.agent.session?.connected === false);
      small.converge(MINUTE_MS);
      must(tried.join(" ") === "hub-9.gone:9443 configured", `it tried ${tried.join(" ")}`);
    },
  },
  {
    name: "a stream whose agent says goodbye ends at once",
    run(begin) {
      const small = begin({ boots: false });
      const peer = new HandPeer(small);
      peer.hello();
      small.until("Welcome", 5_000, () => small.session.connected);
      peer.send({ case: "goodbye", value: create(GoodbyeSchema, { message: "bye" }) }, false);
      small.until("the hub ends the stream", 1_000, () => !small.session.connected);
    },
  },
];
