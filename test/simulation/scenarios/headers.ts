import { create } from "@bufbuild/protobuf";
import { ItemReportSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { HeartBeatSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { WINDOW_FRAMES } from "../../../src/federation/session/limits.ts";
import { must } from "../world.ts";
import { HandPeer } from "./hand-peer.ts";
import type { Scenario } from "./scenario.ts";
import type { SmallWorld } from "./small-world.ts";

const MINUTE_MS = 60_000;
/** Worlds of a story that depends on chance. */
const SEEDS = 6;

/** Everything that can move moves, both ways, for a while. */
function traffic(small: SmallWorld, rounds: number, eachMs: number): void {
  small.agent.tenant.failedRevocations = 0; // one that fails is pushed again after a minute
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < 12; at++) small.hub.drift(small.cluster, `signal-${at}`);
    for (let at = 0; at < 12; at++) small.agent.fact(`fact-${at}`);
    small.agent.audit(150);
    small.agent.ask();
    for (let at = 0; at < 6; at++) small.state.put("PackInstalled", `item-${at}`, 40_000, 0, "none");
    small.state.put("PackInstalled", "big", 400_000, 0, "none");
    small.renew();
    small.hub.revoke(small.cluster, small.state.revoke(`item-${round}`));
    small.runFor(eachMs);
  }
}

/** Headers that lie, transports that are full, and frames that come too early or too many. */
export const HEADERS: readonly Scenario[] = [
  {
    name: "a frame whose header lies ends its stream, both ways, and nothing of it counts",
    run(begin) {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const small = begin({ seed });
        small.agent.wire.mangled = 0.05;
        small.agent.wire.mangles = "forge";
        traffic(small, 30, 2_000);
        small.agent.wire.mangles = undefined;
        small.renew();
        small.converge(10 * MINUTE_MS);
      }
    },
  },
  {
    name: "a transport that said blocked is written to again when it drained, and not before",
    run(begin) {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const small = begin({ seed });
        for (const way of ["down", "up"] as const) {
          small.agent.wire.stuck = way;
          traffic(small, 3, 5_000);
          small.agent.wire.stuck = undefined;
          const dials = small.agent.session?.counters.dials;
          small.converge(2 * MINUTE_MS);
          must(small.agent.session?.counters.dials === dials, "the stream had to be dialled anew");
        }
        small.agent.wire.slowMs = 1_500;
        traffic(small, 5, 4_000);
        small.agent.wire.slowMs = 0;
        small.converge(4 * MINUTE_MS);
      }
    },
  },
  {
    name: "heartbeats are not answered into a transport that said blocked",
    run(begin) {
      const small = begin();
      small.agent.wire.stuck = "down";
      for (let at = 0; at < 30; at++) small.hub.drift(small.cluster, `signal-${at}`);
      small.runFor(45_000); // the agent's heartbeat arrives meanwhile
      small.agent.wire.stuck = "up";
      for (let at = 0; at < 30; at++) small.agent.fact(`fact-${at}`);
      small.runFor(45_000); // the hub's
      small.agent.wire.stuck = undefined;
      small.converge(3 * MINUTE_MS);
    },
  },
  {
    name: "a peer that takes an acknowledgement back is cut off",
    run(begin) {
      const small = begin({ boots: false });
      const peer = new HandPeer(small);
      peer.hello();
      small.until("the offer", 5_000, () => peer.count("indexOffer") > 0);
      const beat = (): void =>
        peer.send({ case: "heartBeat", value: create(HeartBeatSchema, { isAck: false, nonce: 9n }) }, false);
      peer.ack = 2n;
      beat();
      small.runFor(500);
      must(small.session.connected, "the peer was cut off before");
      peer.ack = 1n;
      beat();
      small.until("the hub ends the stream", 1_000, () => !small.session.connected);
    },
  },
  {
    name: "a frame before Welcome ends the stream",
    run(begin) {
      const small = begin({ boots: false });
      small.hub.off.loads = true;
      const peer = new HandPeer(small);
      peer.hello();
      small.until("the hub takes Hello", 5_000, () => small.session.occupied);
      small.runFor(100);
      peer.send({ case: "itemReport", value: create(ItemReportSchema, { kind: "PackInstalled", name: "first" }) });
      small.until("the hub ends the stream", 1_000, () => !small.session.occupied);
    },
  },
  {
    name: "a peer that sends more frames than the window is cut off",
    run(begin) {
      const small = begin({ boots: false });
      small.hub.off.stores = true;
      const peer = new HandPeer(small);
      peer.hello();
      small.until("Welcome", 5_000, () => small.session.connected);
      for (let at = 0; at < WINDOW_FRAMES + 4; at++)
        peer.send({
          case: "itemReport",
          value: create(ItemReportSchema, { kind: "PackInstalled", name: `${at}`, level: 1 }),
        });
      small.until("the hub ends the stream", 2_000, () => !small.session.connected);
    },
  },
  {
    name: "a hub whose term is below the agent's says no Welcome",
    run(begin) {
      const small = begin();
      small.hub.off.terms = true;
      small.agent.reset();
      small.runFor(MINUTE_MS);
      must(!small.session.connected && small.agent.session?.connected === false, "the stream came back");
      small.hub.off.terms = false;
      small.converge(2 * MINUTE_MS);
    },
  },
];
