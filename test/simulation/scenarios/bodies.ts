import { create } from "@bufbuild/protobuf";
import { BlobFetchSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { CHUNK_BYTES, MAX_FETCHES, MAX_SERVED_FETCHES } from "../../../src/federation/session/limits.ts";
import { must } from "../world.ts";
import { HandPeer } from "./hand-peer.ts";
import type { Scenario } from "./scenario.ts";
import type { SmallWorld } from "./small-world.ts";

const MINUTE_MS = 60_000;
const BIG_BYTES = 12 * CHUNK_BYTES;

/** How bodies come to an agent, and how they do not. */
export const BODIES: readonly Scenario[] = [
  {
    name: "a body that the hub cannot deliver is asked for by the backoff, and comes when it can",
    run(begin) {
      const small = begin();
      small.hub.off.bodies = true;
      const before = small.hub.bodiesAsked;
      small.put("big", "none", BIG_BYTES);
      small.runFor(10 * MINUTE_MS);
      const asked = small.hub.bodiesAsked - before;
      must(asked >= 12 && asked <= 60, `asked ${asked} times within ten minutes`);
      small.hub.off.bodies = false;
      small.converge(61_000 + MINUTE_MS / 6);
    },
  },
  {
    name: "a body that the hub has again after a moment comes within a moment",
    run(begin) {
      for (let seed = 1; seed <= 4; seed++) {
        const small = begin({ seed });
        small.hub.off.bodies = true;
        small.put("big", "none", BIG_BYTES);
        small.runFor(1_200);
        small.hub.off.bodies = false;
        small.converge(8_000);
      }
    },
  },
  {
    name: "a fetch goes on where it was when its stream ended",
    run(begin) {
      const small = begin();
      small.agent.wire.slowMs = 300;
      small.put("big", "none", BIG_BYTES);
      small.until("half of it is here", MINUTE_MS, () => held(small) >= BIG_BYTES / 2);
      const sent = small.session.counters.chunksSent;
      const had = held(small);
      small.agent.reset();
      small.converge(MINUTE_MS);
      const again = small.session.counters.chunksSent - sent;
      const needed = Math.ceil((BIG_BYTES - had) / CHUNK_BYTES);
      must(again <= needed + 3, `${again} chunks for the rest of ${needed}`);
    },
  },
  {
    name: "of two bodies on their way the one that is whole counts, also after a restart",
    run(begin) {
      const small = begin();
      small.agent.wire.slowMs = 200;
      small.state.put("PackInstalled", "long", 3 * BIG_BYTES, 0, "none");
      small.state.put("PackInstalled", "short", 2 * CHUNK_BYTES, 0, "none");
      small.renew();
      small.until("the short one is whole", MINUTE_MS, () => small.agent.tenant.applied.has("PackInstalled/short"));
      small.agent.crash(0); // the store is compared with the real one at the start
      small.converge(2 * MINUTE_MS);
    },
  },
  {
    name: "a chunk that is lost costs a moment and a second fetch, not the body",
    run(begin) {
      for (let seed = 1; seed <= 4; seed++) {
        const small = begin({ seed });
        small.agent.wire.mangled = 0.3;
        small.agent.wire.mangles = "unknown";
        small.put("big", "none", BIG_BYTES);
        small.runFor(3_000);
        small.agent.wire.mangles = undefined;
        small.converge(3 * MINUTE_MS);
        must(small.agent.session?.counters.digestMismatches === 0, "chunks out of place were put together");
      }
    },
  },
  {
    name: "an altered body of many chunks is refused by its digest, also when it was fetched in two halves",
    run(begin) {
      for (const [cut, found] of [
        [false, false],
        [true, false],
        [false, true],
      ]) {
        const small = begin();
        small.hub.off.altered = found === true;
        small.agent.wire.slowMs = 200;
        const item = small.state.put("PackInstalled", "altered", BIG_BYTES, 0, "none");
        small.blobs.corrupt.add(item.digest);
        small.renew();
        if (found !== true) small.until("some of it is here", MINUTE_MS, () => held(small) >= CHUNK_BYTES);
        if (cut === true) small.agent.reset();
        const record = (): string | undefined => small.agent.store.items.get("PackInstalled/altered")?.nack?.reason;
        small.until("it is refused", MINUTE_MS, () => record() === "DIGEST_MISMATCH");
        const asked = small.hub.bodiesAsked;
        small.runFor(5 * MINUTE_MS);
        must(small.hub.bodiesAsked === asked, "a body that was refused for good is asked for again");
        small.blobs.corrupt.clear();
        small.hub.retry(small.cluster, "PackInstalled", "altered");
        small.converge(MINUTE_MS);
      }
    },
  },
  {
    name: "a body that is refused refuses the items that need it now, not the one that did before",
    run(begin) {
      const small = begin();
      small.agent.wire.slowMs = 300;
      const item = small.state.put("PackInstalled", "one", BIG_BYTES, 0, "none");
      small.state.share("two", "PackInstalled/one");
      small.blobs.corrupt.add(item.digest);
      small.renew();
      small.until("some of it is here", MINUTE_MS, () => held(small) >= CHUNK_BYTES);
      small.put("one", "none", 2 * BIG_BYTES);
      const reason = (name: string): string => small.agent.store.items.get(`PackInstalled/${name}`)?.nack?.reason ?? "";
      small.until("the other is refused", MINUTE_MS, () => reason("two") === "DIGEST_MISMATCH");
      must(reason("one") === "", `the newer version is refused too: ${reason("one")}`);
    },
  },
  {
    name: "a body whose first half was altered before its stream ended is fetched once more, not refused",
    run(begin) {
      const small = begin();
      small.agent.wire.slowMs = 200;
      const item = small.state.put("PackInstalled", "mended", BIG_BYTES, 0, "none");
      small.blobs.corrupt.add(item.digest);
      small.renew();
      small.until("some of it is here", MINUTE_MS, () => held(small) >= CHUNK_BYTES);
      small.agent.crash(0);
      small.blobs.corrupt.clear();
      small.converge(MINUTE_MS);
      must(small.agent.session?.counters.quarantined === 0, "it was quarantined");
    },
  },
  {
    name: "a body of another size than the index says is refused",
    run(begin) {
      const small = begin();
      small.state.put("PackInstalled", "other", BIG_BYTES / 4, 0, "none");
      small.state.misstate("PackInstalled/other");
      small.renew();
      const reason = (): string | undefined => small.agent.store.items.get("PackInstalled/other")?.nack?.reason;
      small.until("it is refused", MINUTE_MS, () => reason() === "SIZE_MISMATCH");
    },
  },
  {
    name: "of many bodies few are fetched at a time",
    run(begin) {
      const small = begin();
      for (let at = 0; at < 14; at++) small.state.put("PackInstalled", `big-${at}`, BIG_BYTES / 4, 0, "none");
      small.renew();
      let most = 0;
      small.until("all are here", MINUTE_MS, () => {
        for (let at = 0; at < 25; at++) {
          small.runFor(20);
          most = Math.max(most, small.hub.pinned(small.cluster));
        }
        return small.agent.tenant.applied.size === 15;
      });
      must(most > 0 && most <= MAX_FETCHES, `${most} bodies at a time`);
    },
  },
  {
    name: "an agent that asks for every body at once, and again, gets few at a time",
    run(begin) {
      const small = begin({ boots: false });
      const items = Array.from({ length: 20 }, (_, at) =>
        small.state.put("PackInstalled", `big-${at}`, BIG_BYTES, 0, "none"),
      );
      small.renew();
      const peer = new HandPeer(small);
      peer.hello();
      small.until("Welcome", 5_000, () => small.session.connected);
      for (const { digest } of [...items, ...items])
        peer.send({ case: "blobFetch", value: create(BlobFetchSchema, { digest }) });
      small.runFor(2_000);
      must(peer.count("blobUnavailable") >= items.length - MAX_SERVED_FETCHES, "nothing was refused");
      small.hub.checkMemory();
    },
  },
  {
    name: "bodies that were being sent leave the hub's memory with their stream",
    run(begin) {
      const small = begin();
      small.agent.wire.slowMs = 500;
      small.put("big", "none", BIG_BYTES);
      small.until("some of it is here", MINUTE_MS, () => held(small) >= CHUNK_BYTES);
      small.agent.wire.partitioned = true;
      small.until("the stream ends", 3 * MINUTE_MS, () => !small.session.connected);
      must(small.hub.pinned(small.cluster) === 0, "a body of a lost stream is still pinned");
      small.agent.wire.partitioned = false;
      small.agent.wire.slowMs = 0;
      small.converge(3 * MINUTE_MS);
      must(small.hub.pinned(small.cluster) === 0, "a body that was sent is still pinned");
    },
  },
];

/** Bytes of the largest body that the agent holds. */
function held(small: SmallWorld): number {
  return Math.max(0, ...[...small.agent.store.blobs.values()].map(({ data }) => data.length));
}
