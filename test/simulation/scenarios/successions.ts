import { create } from "@bufbuild/protobuf";
import {
  BlobFetchSchema,
  IndexReportSchema,
  IndexReport_Outcome,
  ItemReportSchema,
  ItemReport_Level,
  RangeDigestReplySchema,
} from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  AuditEventBatchSchema,
  AuditEventSchema,
} from "../../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import {
  AuditPositionSchema,
  IndexPositionSchema,
} from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { digestOf } from "../../../src/base/digest.ts";
import { RANGES, RANGE_DIGEST_BYTES } from "../../../src/federation/index/range-digest.ts";
import {
  AUDIT_IN_FLIGHT,
  CHUNK_BYTES,
  COMPARE_DEADLINE_MS,
  OFFER_SWEEP_MS,
} from "../../../src/federation/session/limits.ts";
import type { Payload } from "../../../src/federation/session/payload.ts";
import { must } from "../world.ts";
import { HandPeer } from "./hand-peer.ts";
import type { Begin, Scenario } from "./scenario.ts";
import type { SmallWorld } from "./small-world.ts";

const EPOCH = 77n;
/** Digest of an index that the hub never signed. */
const UNKNOWN = digestOf("unknown");

function batch(first: number, last: number, what = "event"): Payload {
  const events = [];
  for (let sequence = first; sequence <= last; sequence++)
    events.push(create(AuditEventSchema, { sequence: BigInt(sequence), event: Buffer.from(`${what} ${sequence}`) }));
  return { case: "auditEventBatch", value: create(AuditEventBatchSchema, { epoch: EPOCH, events }) };
}

function live(small: SmallWorld, cluster = small.cluster): HandPeer {
  const peer = new HandPeer(small, cluster);
  peer.hello({ audit: create(AuditPositionSchema, { epoch: EPOCH, firstHeld: 1n }) });
  small.until("Welcome", 5_000, () => peer.count("welcome") > 0);
  return peer;
}

/** A peer that says it holds an index which the hub never signed; the hub asks for its ranges when the index is large. */
function asked(small: SmallWorld, cluster: string): HandPeer {
  const peer = new HandPeer(small, cluster);
  peer.hello({ heldIndex: create(IndexPositionSchema, { epoch: 1n, sequence: 1n, digest: UNKNOWN }) });
  small.until("Welcome", 5_000, () => peer.count("welcome") > 0);
  return peer;
}

/** Range digests of an index of which nothing is the hub's. */
function tellsRanges(): Payload {
  const digests = [new Uint8Array(RANGES * RANGE_DIGEST_BYTES)];
  return { case: "rangeDigestReply", value: create(RangeDigestReplySchema, { indexDigest: UNKNOWN, digests }) };
}

/** Two tenants with indexes large enough to be compared. */
function largeIndexes(begin: Begin): SmallWorld {
  const small = begin({ agents: 2, boots: false });
  for (const state of small.states) {
    for (let at = 0; at < 150; at++) state.put("PackInstalled", `item-${at}`, 50, 0, "none");
    state.sign(small.hub.wallMs);
    small.hub.desiredChanged(state.cluster);
  }
  return small;
}

/** What one stream began and another one must not inherit, by peers that do not behave. */
export const SUCCESSIONS: readonly Scenario[] = [
  {
    name: "what a superseded stream had under way ends with it",
    run(begin) {
      const small = begin({ boots: false });
      const item = small.put("big", "none", 10 * CHUNK_BYTES);
      const first = live(small);
      first.send({ case: "blobFetch", value: create(BlobFetchSchema, { digest: item.digest }) });
      small.until("the body is being sent", 2_000, () => small.hub.pinned(small.cluster) === 1);
      live(small);
      must(small.hub.pinned(small.cluster) === 0, "a body of the former stream is still pinned");
    },
  },
  {
    name: "frames of a superseded stream are nobody's",
    run(begin) {
      const small = begin({ boots: false });
      let former = live(small);
      for (let at = 0; at < 6; at++) {
        const next = live(small);
        former.answers = false;
        former.send(batch(1, 1));
        small.runFor(500);
        must(small.session.connected && next.ended === undefined, "a frame of the former stream ended the newer one");
        former = next;
      }
    },
  },
  {
    name: "a batch that the sink was storing for a former stream is not taken for one of the next",
    run(begin) {
      const small = begin({ boots: false });
      small.hub.off.sinkMs = 3_000;
      const first = live(small);
      first.send(batch(1, 3));
      small.runFor(100);
      const second = live(small);
      small.runFor(100);
      second.send(batch(4, 6));
      small.runFor(2_900); // HubRules looks at what is acknowledged
      const { through } = small.hub.store(small.cluster).audit(EPOCH);
      must(through === 3n, `the sink holds numbers through ${through}`);
      small.runFor(4_000);
      must(small.hub.store(small.cluster).audit(EPOCH).through === 6n, "the batch of the newer stream was lost");
    },
  },
  {
    name: "numbers behind a hole are not acknowledged, and the hole is asked for once",
    run(begin) {
      const small = begin({ boots: false });
      const peer = live(small);
      peer.send(batch(5, 8));
      peer.send(batch(9, 9));
      small.runFor(2_000);
      const acks = peer.received.flatMap(({ payload }) => (payload.case === "auditEventAck" ? [payload.value] : []));
      must(acks.length > 0 && acks.every(({ ackedThrough }) => ackedThrough === 0n), "numbers behind a hole count");
      const holes = acks.flatMap(({ missing }) => missing.map(({ from, to }) => `${from}-${to}`));
      must(holes.join(" ") === "1-4", `holes asked for: ${holes.join(" ")}`);
    },
  },
  {
    name: "batches that waited for a former stream take nobody's place on the next",
    run(begin) {
      const small = begin({ boots: false });
      small.hub.off.sinkMs = 3_000;
      const first = live(small);
      for (let at = 1; at <= AUDIT_IN_FLIGHT; at++) first.send(batch(at, at));
      small.runFor(3_100); // the first is stored, and the others are on their way into the sink
      const second = live(small);
      for (let at = 1; at <= AUDIT_IN_FLIGHT; at++) second.send(batch(at, at));
      small.runFor(20_000);
      must(small.session.connected && second.ended === undefined, `the stream ended: ${second.ended}`);
      const { through } = small.hub.store(small.cluster).audit(EPOCH);
      must(through === BigInt(AUDIT_IN_FLIGHT), `the sink holds numbers through ${through}`);
    },
  },
  {
    name: "of two reports of one item that wait for the store together the newer counts",
    run(begin) {
      const small = begin({ boots: false });
      small.hub.off.stores = true;
      const peer = live(small);
      const digest = small.state.current?.document.items[0]?.digest ?? "";
      const said = [ItemReport_Level.RECEIVED, ItemReport_Level.VERIFIED, ItemReport_Level.APPLIED];
      for (const level of said) {
        const value = create(ItemReportSchema, { kind: "PackInstalled", name: "first", version: 1n, digest, level });
        peer.send({ case: "itemReport", value });
        small.runFor(300);
      }
      small.hub.off.stores = false;
      small.runFor(40_000);
      must(small.report("first")?.level === ItemReport_Level.APPLIED, `stored: level ${small.report("first")?.level}`);
    },
  },
  {
    name: "a batch of another log than Hello named ends the stream",
    run(begin) {
      const small = begin({ boots: false });
      const peer = live(small);
      const event = create(AuditEventSchema, { sequence: 1n, event: Buffer.from("event") });
      const value = create(AuditEventBatchSchema, { epoch: EPOCH + 1n, events: [event] });
      peer.send({ case: "auditEventBatch", value });
      small.until("the hub ends the stream", 2_000, () => !small.session.connected);
      must(small.hub.store(small.cluster).audit(EPOCH + 1n).events.size === 0, "it was stored");
    },
  },
  {
    name: "a fetch that is repeated begins where it says",
    run(begin) {
      const small = begin({ boots: false });
      const item = small.put("big", "none", 10 * CHUNK_BYTES);
      const peer = live(small);
      const fetch = (offset: bigint): void =>
        peer.send({ case: "blobFetch", value: create(BlobFetchSchema, { digest: item.digest, offset }) });
      peer.ack = 2n; // Welcome and the offer
      fetch(0n);
      small.until("a chunk", 2_000, () => peer.count("blobChunk") > 0);
      peer.received.length = 0;
      fetch(BigInt(5 * CHUNK_BYTES));
      small.runFor(200);
      peer.ack = 3n;
      fetch(BigInt(5 * CHUNK_BYTES));
      small.until("another chunk", 2_000, () => peer.count("blobChunk") > 0);
      const [chunk] = peer.received.flatMap(({ payload }) => (payload.case === "blobChunk" ? [payload.value] : []));
      must(Number(chunk?.offset) === 5 * CHUNK_BYTES, `the chunk begins at ${chunk?.offset}`);
    },
  },
  {
    name: "a fetch that begins beyond the end is refused",
    run(begin) {
      const small = begin({ boots: false });
      const item = small.put("big", "none", CHUNK_BYTES);
      const peer = live(small);
      peer.ack = 2n;
      const offset = BigInt(2 * CHUNK_BYTES);
      peer.send({ case: "blobFetch", value: create(BlobFetchSchema, { digest: item.digest, offset }) });
      small.runFor(1_000);
      must(peer.count("blobUnavailable") === 1 && peer.count("blobChunk") === 0, "it was served");
    },
  },
  {
    name: "an agent that needs the whole index gets it, and nothing more once it has it",
    run(begin) {
      const small = begin({ boots: false });
      const { current } = small.state;
      must(current !== undefined, "there is no index");
      const { digest, document } = current;
      const [epoch, sequence] = [BigInt(document.epoch), BigInt(document.sequence)];
      const peer = new HandPeer(small);
      peer.hello({ heldIndex: create(IndexPositionSchema, { epoch, sequence, digest }) });
      const forms = (): string =>
        peer.received
          .flatMap(({ payload }) => (payload.case === "indexOffer" ? [payload.value.form.case ?? ""] : []))
          .join(" ");
      small.until("the offer", 5_000, () => forms() === "unchanged");
      const report = (outcome: IndexReport_Outcome): void =>
        peer.send({ case: "indexReport", value: create(IndexReportSchema, { epoch, sequence, digest, outcome }) });
      report(IndexReport_Outcome.NEED_FULL);
      small.until("the whole index", 2_000, () => forms() === "unchanged full" || forms() === "unchanged reference");
      report(IndexReport_Outcome.ACCEPTED);
      small.runFor(20_000);
      must(forms().split(" ").length === 2, `offered as ${forms()}`);
    },
  },
  {
    name: "a report about another index than was offered settles nothing",
    run(begin) {
      const small = begin({ boots: false });
      const peer = live(small);
      small.until("the offer", 5_000, () => peer.count("indexOffer") === 1);
      peer.ack = 2n;
      for (const outcome of [IndexReport_Outcome.ACCEPTED, IndexReport_Outcome.REFUSED]) {
        const value = create(IndexReportSchema, { epoch: 1n, sequence: 9n, digest: UNKNOWN, outcome });
        peer.send({ case: "indexReport", value });
      }
      small.runFor(1_000);
      const { held, refused } = small.session.view();
      must(held === undefined && refused === undefined, `held ${held?.digest}, refused ${refused?.digest}`);
      small.until("it is offered again", OFFER_SWEEP_MS + 5_000, () => peer.count("indexOffer") === 2);
    },
  },
  {
    name: "numbers that come a second time with other events are refused, and the first ones kept",
    run(begin) {
      const small = begin({ boots: false });
      small.hub.store(small.cluster).forked = true;
      const peer = live(small);
      peer.send(batch(1, 3));
      small.runFor(500);
      peer.send(batch(2, 5, "another"));
      small.runFor(500);
      const refused = peer.received.flatMap(({ payload }) =>
        payload.case === "auditEventAck" ? payload.value.rejected.map(({ sequence }) => sequence) : [],
      );
      must(refused.join(" ") === "2 3", `refused: ${refused.join(" ")}`);
      must(small.hub.store(small.cluster).audit(EPOCH).through === 5n, "what came after them was lost");
    },
  },
  {
    name: "an agent that does not tell its ranges gets the whole index, and takes nobody's turn",
    run(begin) {
      const small = largeIndexes(begin);
      const [first, second] = small.states.map(({ cluster }) => asked(small, cluster));
      must(first !== undefined && second !== undefined, "two tenants");
      const questions = (): number => first.count("rangeDigestRequest") + second.count("rangeDigestRequest");
      small.until("both are asked", 2_000, () => questions() === 2);
      second.send(tellsRanges());
      small.until("the one that answers has an offer", 2_000, () => second.count("indexOffer") === 1);
      must(first.count("indexOffer") === 0, "the other is offered something before its time to answer is over");
      small.until("both have an offer", COMPARE_DEADLINE_MS + 2_000, () => first.count("indexOffer") === 1);
    },
  },
  {
    name: "an agent that leaves while it is asked takes nobody's turn",
    run(begin) {
      const small = largeIndexes(begin);
      const [one, two] = small.states.map(({ cluster }) => cluster);
      must(one !== undefined && two !== undefined, "two tenants");
      const first = asked(small, one);
      small.until("it is asked", 2_000, () => first.count("rangeDigestRequest") === 1);
      small.hub.evict(one);
      const second = asked(small, two);
      small.until("the other is asked", 2_000, () => second.count("rangeDigestRequest") === 1);
      second.send(tellsRanges());
      small.until("the other has an offer", 2_000, () => second.count("indexOffer") === 1);
    },
  },
];
