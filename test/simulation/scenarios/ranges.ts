import { create } from "@bufbuild/protobuf";
import { RangeDigestReplySchema } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { FrameNackSchema, IndexPositionSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { digestOf } from "../../../src/base/digest.ts";
import { RANGES, RANGE_DIGEST_BYTES, RangeDigests } from "../../../src/federation/index/range-digest.ts";
import { COMPARE_DEADLINE_MS } from "../../../src/federation/session/limits.ts";
import type { Payload } from "../../../src/federation/session/payload.ts";
import { must } from "../world.ts";
import { HandPeer } from "./hand-peer.ts";
import type { Begin, Scenario } from "./scenario.ts";
import type { SmallWorld } from "./small-world.ts";

/** Digest of an index that the hub never signed. */
const UNKNOWN = digestOf("unknown");
/** Time in which a hub that need not wait has offered something, milliseconds. */
const SOON_MS = 2_000;
/** Items of an index that is large enough to be compared. */
const ITEMS = 150;

interface Asked {
  readonly small: SmallWorld;
  readonly peer: HandPeer;
}

/** A peer that says it holds an index which the hub does not know, and was asked for its ranges. */
function asked(begin: Begin): Asked {
  const small = begin({ boots: false });
  for (let at = 0; at < ITEMS; at++) small.state.put("PackInstalled", `item-${at}`, 50, 0, "none");
  small.renew();
  const peer = new HandPeer(small);
  peer.hello({ heldIndex: create(IndexPositionSchema, { epoch: 1n, sequence: 1n, digest: UNKNOWN }) });
  small.until("it is asked", SOON_MS, () => peer.count("rangeDigestRequest") === 1);
  return { small, peer };
}

function reply(parts: { readonly of?: string; readonly answers?: number; readonly bytes?: number }): Payload {
  const { answers = 1, bytes = RANGES * RANGE_DIGEST_BYTES } = parts;
  const digests = Array.from({ length: answers }, () => new Uint8Array(bytes));
  return { case: "rangeDigestReply", value: create(RangeDigestReplySchema, { indexDigest: UNKNOWN, digests }) };
}

/** An honest answer of somebody whose index differs in the first range. */
function differsInOne({ state }: SmallWorld, of: string): Payload {
  const { current } = state;
  must(current !== undefined, "there is no index");
  const digests = Buffer.from(new RangeDigests(current.document).digests(new Uint8Array()));
  digests[0] = (digests[0] ?? 0) ^ 1;
  return { case: "rangeDigestReply", value: create(RangeDigestReplySchema, { indexDigest: of, digests: [digests] }) };
}

/** Form of the one offer so far. */
function offered({ small, peer }: Asked): string {
  small.until("the offer", SOON_MS, () => peer.count("indexOffer") > 0);
  small.runFor(SOON_MS);
  const forms = peer.received.flatMap(({ payload }) =>
    payload.case === "indexOffer" ? [payload.value.form.case ?? ""] : [],
  );
  must(small.session.connected, "the stream ended");
  return forms.join(" ");
}

function isWhole(form: string): boolean {
  return form === "full" || form === "reference";
}

/** Answers to the question what an agent holds, range by range, as a peer with any manners gives them. */
export const RANGE_ANSWERS: readonly Scenario[] = [
  {
    name: "an agent that differs in one range gets that range",
    run(begin) {
      const all = asked(begin);
      all.peer.send(differsInOne(all.small, UNKNOWN));
      const form = offered(all);
      must(form === "ranges", `offered as ${form}`);
      const paths = all.peer.received.flatMap(({ payload }) =>
        payload.case === "indexOffer" && payload.value.form.case === "ranges" ? payload.value.form.value.paths : [],
      );
      must(paths.length === 1 && paths[0]?.[0] === 0, `${paths.length} ranges are offered`);
    },
  },
  {
    name: "an answer about the ranges of another index gets the whole index at once",
    run(begin) {
      const all = asked(begin);
      all.peer.send(differsInOne(all.small, digestOf("another")));
      const form = offered(all);
      must(isWhole(form), `offered as ${form}`);
    },
  },
  {
    name: "range digests of a wrong number or size end the stream",
    run(begin) {
      for (const wrong of [{ answers: 0 }, { answers: 2 }, { bytes: RANGE_DIGEST_BYTES }, { bytes: 0 }]) {
        const { small, peer } = asked(begin);
        peer.send(reply(wrong));
        small.until("the hub ends the stream", SOON_MS, () => !small.session.connected);
        must(peer.count("indexOffer") === 0, "something was offered by them");
        must(peer.ended?.includes("range digest reply digests: 1 of") === true, `it ended by ${peer.ended}`);
      }
    },
  },
  {
    name: "an answer about ranges that comes too late changes nothing any more",
    run(begin) {
      const all = asked(begin);
      const { small, peer } = all;
      small.until("the whole index", COMPARE_DEADLINE_MS + SOON_MS, () => peer.count("indexOffer") === 1);
      for (let at = 0; at < 3; at++) peer.send(reply({ answers: at })); // of a wrong number, too
      small.runFor(SOON_MS);
      must(peer.count("rangeDigestRequest") === 1, "it was asked again");
      must(small.session.counters.compares === 0, "a late answer was compared");
      const form = offered(all);
      must(isWhole(form), `offered as ${form}`);
    },
  },
  {
    name: "an answer about ranges that nobody asked for changes nothing",
    run(begin) {
      const small = begin({ boots: false });
      const peer = new HandPeer(small);
      peer.hello();
      small.until("the offer", SOON_MS, () => peer.count("indexOffer") === 1);
      for (let at = 0; at < 3; at++) peer.send(reply({ answers: at }));
      small.runFor(SOON_MS);
      must(small.session.connected && peer.count("indexOffer") === 1, "it changed something");
      must(small.session.counters.compares === 0, "it was compared");
    },
  },
  {
    name: "an agent that does not know of ranges gets the whole index at once",
    run(begin) {
      const all = asked(begin);
      const question = all.peer.received.find(({ payload }) => payload.case === "rangeDigestRequest");
      must(question !== undefined, "it was not asked");
      all.peer.send({ case: "frameNack", value: create(FrameNackSchema, { seq: question.seq }) });
      const form = offered(all);
      must(isWhole(form), `offered as ${form}`);
    },
  },
];
