import { must } from "../world.ts";
import type { Scenario } from "./scenario.ts";

const MINUTE_MS = 60_000;
const KEYS = ["web", "db", "cache"].map((name) => `packReceiptReport/${name}`);

/** A management cluster that lost what it had stored. */
export const LOST_HUB: readonly Scenario[] = [
  {
    name: "what a hub lost of acknowledged reports comes again by itself, once, and without a new report",
    run(begin) {
      const small = begin();
      const { agent, hub, cluster } = small;
      for (const name of ["web", "db", "cache", "web"]) agent.fact(name);
      small.converge(MINUTE_MS);
      const versions = KEYS.map((key) => hub.store(cluster).facts.get(key));
      must(versions.join() === "2,1,1", `stored are ${versions.join()}`);
      hub.lose(cluster);
      must(hub.store(cluster).facts.size === 0, "the hub has lost everything");
      small.until("all reports are back", 5 * MINUTE_MS, () =>
        KEYS.every((key, at) => hub.store(cluster).facts.get(key) === versions[at]),
      );
      small.converge(MINUTE_MS);
      const sent = agent.session?.counters.factsSent;
      agent.reset();
      small.converge(5 * MINUTE_MS);
      must(
        agent.session?.counters.factsSent === sent,
        "acknowledged reports are sent again to a hub that lost nothing",
      );
    },
  },
];
