import { OFFER_SWEEP_MS } from "../../../src/federation/session/limits.ts";
import { INDEX_LIFE_MS } from "../desired-state.ts";
import { must } from "../world.ts";
import type { Begin, Scenario } from "./scenario.ts";
import type { SmallWorld } from "./small-world.ts";

const MINUTE_MS = 60_000;

/** An agent without a hub whose tenant cannot work, with an item that waits; then the index runs out. */
function stranded(begin: Begin, setBackMs: number): SmallWorld {
  const small = begin();
  small.agent.tenant.busy = true;
  small.put("waiting");
  small.until(
    "the item is tried",
    10_000,
    () => small.agent.store.items.get("PackInstalled/waiting")?.nack !== undefined,
  );
  small.agent.wire.partitioned = true;
  small.agent.skewMs = -setBackMs;
  const signedMs = small.world.nowMs;
  let ranOutMs = Infinity;
  small.agent.onFreshness = (expired) => {
    if (expired) ranOutMs = Math.min(ranOutMs, small.world.nowMs - signedMs);
  };
  small.runFor(INDEX_LIFE_MS + MINUTE_MS);
  must(
    ranOutMs > INDEX_LIFE_MS - MINUTE_MS && ranOutMs <= INDEX_LIFE_MS,
    `it is said to have run out after ${ranOutMs} ms`,
  );
  small.agent.tenant.busy = false;
  small.runFor(30 * MINUTE_MS);
  return small;
}

function isApplied(small: SmallWorld): boolean {
  return small.agent.tenant.applied.has("PackInstalled/waiting");
}

/** What ran out, and what was refused: honoured no more, and offered again when that may help. */
export const EXPIRY: readonly Scenario[] = [
  {
    name: "nothing follows from an index that ran out, and all of it from the next one",
    run(begin) {
      const small = stranded(begin, 0);
      must(!isApplied(small), "an item of an index that ran out was applied");
      small.agent.wire.partitioned = false;
      small.renew();
      small.converge(10 * MINUTE_MS);
      must(isApplied(small), "the item was not applied after the index was renewed");
    },
  },
  {
    name: "a clock that is set back does not make an index live longer",
    run(begin) {
      const small = stranded(begin, 3 * 60 * MINUTE_MS);
      must(!isApplied(small), "an item of an index that had outlived itself was applied");
      small.agent.wire.partitioned = false;
      small.agent.skewMs = 0;
      small.renew();
      small.converge(10 * MINUTE_MS);
    },
  },
  {
    name: "an index that an agent's wrong clock refused is offered again until the clock is right",
    run(begin) {
      const small = begin();
      small.agent.skewMs = -60 * MINUTE_MS;
      small.put("later");
      small.runFor(5 * MINUTE_MS);
      must(!small.agent.store.items.has("PackInstalled/later"), "an index from the future was taken");
      const refused = small.session.counters.indexRefused;
      must(refused > 2 && refused < 30, `offered ${refused} times within five minutes`);
      small.agent.skewMs = 0;
      small.converge(2 * MINUTE_MS);
    },
  },
  {
    name: "an offer that was lost is offered again within a minute, and on a new stream at once",
    run(begin) {
      const small = begin();
      small.agent.wire.mangled = 1;
      small.agent.wire.mangles = "unknown";
      small.put("lost");
      small.runFor(2_000);
      small.agent.wire.mangles = undefined;
      small.converge(OFFER_SWEEP_MS + 5_000);
      small.agent.wire.stuck = "down";
      small.put("lost too");
      small.runFor(2_000);
      small.agent.crash(0);
      small.agent.wire.stuck = undefined;
      small.converge(15_000);
    },
  },
  {
    name: "an index that a stranger signed, or a broken builder, does not come into force",
    run(begin) {
      for (const how of ["stranger", "dropped", "setBack", "equivocation", "floorDown"] as const) {
        const small = begin();
        for (let at = 0; at < 3; at++) {
          small.hub.revoke(small.cluster, small.state.revoke("first"));
          small.put("first");
          small.put("second");
        }
        small.converge(2 * MINUTE_MS);
        const wrong = small.state.signWrong(small.hub.wallMs, how);
        must(wrong !== undefined, "there is nothing to do wrong");
        const before = small.agent.store.index?.digest;
        small.hub.feed(small.cluster, wrong); // AgentRules looks at what is taken
        small.runFor(30_000);
        must(small.agent.store.index?.digest === before, `an index that is wrong by ${how} came into force`);
        must(small.session.counters.indexRefused > 0, `an index that is wrong by ${how} was not refused`);
        small.renew();
        small.converge(2 * MINUTE_MS);
      }
    },
  },
  {
    name: "an index that was refused for good is offered once to each build of the agent, and when an operator says so",
    run(begin) {
      const small = begin({ agents: 2 });
      small.states[1]?.put("PackInstalled", "first", 300, 0, "none");
      const other = [1, 2, 3].map(() => small.states[1]?.sign(small.hub.wallMs)).at(-1);
      const [, neighbour] = small.states;
      must(other !== undefined && neighbour !== undefined, "there is no other tenant");
      small.hub.desiredChanged(neighbour.cluster);
      small.hub.feed(small.cluster, other);
      small.runFor(10 * MINUTE_MS);
      const refused = (): number => small.session.counters.indexRefused;
      must(refused() === 1, `offered ${refused()} times`);
      for (let at = 0; at < 3; at++) {
        small.agent.reset();
        small.runFor(MINUTE_MS);
      }
      must(refused() === 1, `offered ${refused()} times after new streams`);
      small.hub.retry(small.cluster, "PackInstalled", "first");
      small.runFor(MINUTE_MS);
      must(refused() === 2, `offered ${refused()} times after an operator's retry`);
      small.agent.upgrade();
      small.runFor(MINUTE_MS);
      must(refused() === 3, `offered ${refused()} times after the agent became another build`);
      small.renew();
      small.converge(2 * MINUTE_MS);
    },
  },
];
