import { MAX_OPEN_REQUESTS } from "../../../src/federation/session/limits.ts";
import { must } from "../world.ts";
import type { Scenario } from "./scenario.ts";

const MINUTE_MS = 60_000;

/** Requests, stores that fail, and news that did not fit. */
export const ANSWERS: readonly Scenario[] = [
  {
    name: "requests that nobody answers fail by their deadline, and more than the limit at once",
    run(begin) {
      const small = begin();
      small.hub.off.answers = true;
      for (let at = 0; at < MAX_OPEN_REQUESTS + 8; at++) small.agent.ask();
      small.runFor(100);
      must(small.agent.requests.size <= MAX_OPEN_REQUESTS, `${small.agent.requests.size} requests are open`);
      small.runFor(5_500);
      must(small.agent.requests.size === 0, `${small.agent.requests.size} requests passed their deadline`);
    },
  },
  {
    name: "requests fail as soon as there is no stream, and without one at once",
    run(begin) {
      const small = begin();
      small.hub.off.answers = true;
      for (let at = 0; at < 5; at++) small.agent.ask();
      small.runFor(100);
      small.hub.evict(small.cluster, MINUTE_MS);
      small.runFor(200);
      must(small.agent.session?.connected === false, "the agent stayed");
      must(small.agent.requests.size === 0, "requests stay open without a stream");
      small.agent.ask();
      small.runFor(50);
      must(small.agent.requests.size === 0, "a request without a stream was kept");
    },
  },
  {
    name: "a request that the hub does not know fails at once",
    run(begin) {
      const small = begin();
      small.agent.wire.mangled = 1;
      small.agent.wire.mangles = "unknown";
      small.agent.ask();
      small.runFor(500);
      must(small.agent.requests.size === 0, "it stays open");
    },
  },
  {
    name: "while its stores fail the hub tries them by the backoff, and stores everything when they work",
    run(begin) {
      const small = begin();
      small.hub.off.stores = true;
      small.agent.fact("one");
      small.agent.audit(10);
      small.put("more");
      const before = small.session.counters.storeFailures;
      small.runFor(10 * MINUTE_MS);
      const tries = small.session.counters.storeFailures - before;
      must(tries >= 30 && tries <= 300, `${tries} tries of three stores within ten minutes`);
      small.hub.off.stores = false;
      small.converge(MINUTE_MS);
    },
  },
  {
    name: "while its stores fail a report that changes is stored no more often than the backoff says",
    run(begin) {
      const small = begin();
      small.hub.off.stores = true;
      for (let at = 0; at < 200; at++) {
        small.agent.fact("restless");
        small.runFor(50); // PaceRules looks at what is stored when
      }
      const tries = small.session.counters.storeFailures;
      must(tries >= 2 && tries <= 30, `${tries} tries of one report within ten seconds`);
      small.hub.off.stores = false;
      small.converge(MINUTE_MS);
    },
  },
  {
    name: "a change of a report while it is on its way is told too",
    run(begin) {
      const small = begin();
      small.agent.wire.slowMs = 500;
      for (let at = 0; at < 5; at++) {
        small.agent.fact("moving");
        small.runFor(400);
      }
      small.agent.wire.slowMs = 0;
      small.converge(10_000);
    },
  },
  {
    name: "news that did not fit the queue of an agent reach it when it reads again",
    run(begin) {
      const small = begin();
      small.agent.wire.stuck = "down";
      for (let at = 0; at < 2_000; at++) small.hub.drift(small.cluster, `signal-${at}`);
      small.runFor(1_000);
      must(small.session.view().needsResync, "everything fit");
      small.hub.checkMemory();
      small.agent.wire.stuck = undefined;
      const before = small.hub.resyncs;
      small.converge(MINUTE_MS);
      must(small.hub.resyncs - before < 10, `handed in anew ${small.hub.resyncs - before} times`);
    },
  },
  {
    name: "long news do not go beyond the bytes of the queue, and newer news of one key take the place of older ones",
    run(begin) {
      const small = begin();
      small.agent.wire.stuck = "down";
      for (let at = 0; at < 900; at++) {
        small.hub.off.driftText = 1_000 + at;
        small.hub.drift(small.cluster, `signal-${at % 800}`);
        small.runFor(1);
      }
      small.runFor(1_000);
      must(small.session.view().needsResync, "everything fit");
      small.hub.checkMemory();
      small.agent.wire.stuck = undefined;
      small.converge(MINUTE_MS); // nothing stays counted
    },
  },
  {
    name: "what a hub acknowledged leaves the audit log, and nothing else, also over a restart",
    run(begin) {
      const small = begin();
      small.hub.off.sinkMs = 700;
      for (let round = 0; round < 6; round++) {
        small.agent.audit(130);
        small.runFor(900);
        small.agent.crash(0); // the log is compared with the real one at the start
        small.runFor(4_000);
      }
      small.hub.off.sinkMs = undefined;
      small.converge(MINUTE_MS);
    },
  },
  {
    name: "events of a restored log move behind the numbers that the hub has",
    run(begin) {
      const small = begin();
      small.agent.wire.partitioned = true;
      small.agent.audit(5);
      small.agent.backup();
      small.agent.audit(4);
      small.agent.wire.partitioned = false;
      small.converge(3 * MINUTE_MS);
      small.agent.restore();
      small.runFor(5_000);
      small.agent.audit(3);
      small.converge(3 * MINUTE_MS);
      const { events } = small.hub.store(small.cluster).audit(small.agent.store.auditEpoch);
      must(events.size === 9 + 5 + 3, `${events.size} events are stored`);
    },
  },
  {
    name: "of two copies of one log the sink keeps the events that came first, and refuses the others by number",
    run(begin) {
      const small = begin();
      small.agent.audit(4);
      small.converge(MINUTE_MS);
      const twin = small.agent.twin(small.blobs, true);
      small.agent.audit(3);
      small.converge(MINUTE_MS);
      const { auditEpoch } = small.agent.store;
      const kept = [...small.hub.store(small.cluster).audit(auditEpoch).events.values()].join(" ");
      twin.audit(3);
      small.agent.crash(0);
      twin.boot();
      small.runFor(2_000);
      twin.retire();
      small.converge(3 * MINUTE_MS);
      const now = [...small.hub.store(small.cluster).audit(auditEpoch).events.values()].join(" ");
      must(now.startsWith(kept), "an event that was stored was replaced");
    },
  },
  {
    name: "audit goes on after several streams that were lost with batches on their way",
    run(begin) {
      const small = begin();
      small.hub.off.stores = true;
      small.agent.audit(2_000);
      for (let at = 0; at < 4; at++) {
        small.runFor(5_000);
        small.agent.reset();
      }
      small.hub.off.stores = false;
      small.converge(3 * MINUTE_MS);
    },
  },
];
