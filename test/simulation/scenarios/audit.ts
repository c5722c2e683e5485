import { must } from "../world.ts";
import type { Begin, Scenario } from "./scenario.ts";

const MINUTE_MS = 60_000;

/** An agent whose log goes back to `before` events while the hub has `lost` more, and which logs `after` before they meet again. */
function regrown(begin: Begin, before: number, lost: number, after: number): void {
  const small = begin();
  const { agent, hub, cluster } = small;
  const { store } = agent;
  store.remembered = new Set();
  if (before > 0) agent.audit(before);
  small.converge(MINUTE_MS);
  agent.backup();
  small.runFor(1_000);
  agent.audit(lost);
  small.converge(MINUTE_MS);
  const kept = hub.store(cluster).auditTexts();
  must(kept.size === before + lost, `the hub has ${kept.size} events`);
  agent.wire.partitioned = true;
  agent.restore();
  small.until("it is back", MINUTE_MS, () => agent.session !== undefined);
  agent.audit(after);
  small.runFor(1_000);
  agent.wire.partitioned = false;
  small.converge(5 * MINUTE_MS);
  const stored = hub.store(cluster).auditTexts();
  for (const text of kept) must(stored.has(text), `${text} is gone at the hub`);
  must(stored.size === before + lost + after, `the hub has ${stored.size} events`);
  must(store.auditLast === BigInt(before + lost + after), `the log ends at ${store.auditLast}`);
}

/** Logs that lost their end. */
export const AUDIT: readonly Scenario[] = [
  {
    name: "a log that lost its end and grew beyond the hub's number loses nothing: its events get numbers behind",
    run: (begin) => regrown(begin, 10, 5, 12),
  },
  {
    name: "a log that lost its end and grew exactly to the hub's number loses nothing",
    run: (begin) => regrown(begin, 10, 5, 5),
  },
  {
    name: "a log that lost its end and stayed below the hub's number loses nothing",
    run: (begin) => regrown(begin, 10, 5, 3),
  },
  {
    name: "a log that lost everything but its epoch loses nothing that is logged since",
    run: (begin) => regrown(begin, 0, 7, 150),
  },
  {
    name: "a log that lost nothing gets no other numbers when acknowledgements were lost",
    run: (begin) => {
      const small = begin();
      const { agent, hub, cluster } = small;
      agent.audit(10);
      small.converge(MINUTE_MS);
      // Stored by the hub, and the agent did not hear of it.
      agent.audit(5);
      small.until(
        "the hub has all",
        MINUTE_MS,
        () => hub.store(cluster).position(agent.store.auditEpoch).highest === 15n,
      );
      agent.crash(0);
      small.until("it is back", MINUTE_MS, () => agent.session !== undefined);
      agent.audit(5);
      small.converge(5 * MINUTE_MS);
      must(agent.store.auditLast === 20n, `the log ends at ${agent.store.auditLast}`);
      must(hub.store(cluster).auditTexts().size === 20, "each event is stored once");
    },
  },
];
