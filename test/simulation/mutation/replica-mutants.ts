import type { Mutant } from "./mutant.ts";

/** Ways to break membership and ownership of hub replicas. */
export const REPLICA_MUTANTS: readonly Mutant[] = [
  {
    name: "a term that the agent has seen is given to another owner",
    file: "src/federation/hub/ownership/next-ownership.ts",
    find: "return { take: true, term: (before > above ? before : above) + 1n };",
    put: "return { take: true, term: before + 1n };",
    caughtBy: { worlds: "three replicas" },
  },
  {
    name: "a Lease that knows less than the agent is gone on with",
    file: "src/federation/hub/ownership/next-ownership.ts",
    find: "held.holder === identity && held.term >= above)",
    put: "held.holder === identity)",
    caughtBy: { test: "src/federation/hub/ownership/next-ownership.test.ts" },
  },
  {
    name: "a session of another holder is taken for owned",
    file: "src/federation/hub/ownership/next-ownership.ts",
    find: "held !== undefined && held.holder === identity && held.term >= above",
    put: "held !== undefined && held.term >= above",
    caughtBy: { worlds: "three replicas" },
  },
  {
    name: "a membership lasts from the answer on",
    file: "src/federation/hub/membership/membership-state.ts",
    find: "this.#renewedMs = Math.max(this.#renewedMs, startedMs);",
    put: "this.#renewedMs = Math.max(this.#renewedMs, nowMs);",
    caughtBy: { test: "src/federation/hub/membership/membership-state.test.ts" },
  },
  {
    name: "a renewal that took too long joins",
    file: "src/federation/hub/membership/membership-state.ts",
    find: 'if (joins && nowMs - startedMs >= this.#serveMs) return "none";',
    put: "",
    caughtBy: { test: "src/federation/hub/membership/membership-state.test.ts" },
  },
  {
    name: "a renewal of a former membership counts",
    file: "src/federation/hub/membership/membership-state.ts",
    find: 'if (identity !== this.#identity) return "none";',
    put: "",
    caughtBy: { test: "src/federation/hub/membership/membership-state.test.ts" },
  },
  {
    name: "a late renewal does not end what is over",
    file: "src/federation/hub/membership/membership-state.ts",
    find: 'return joins ? "joined" : this.look(nowMs);',
    put: 'return joins ? "joined" : "none";',
    caughtBy: { test: "src/federation/hub/membership/membership-state.test.ts" },
  },
  {
    name: "a renewal that began earlier sets the end back",
    file: "src/federation/hub/membership/membership-state.ts",
    find: "this.#renewedMs = Math.max(this.#renewedMs, startedMs);",
    put: "this.#renewedMs = startedMs;",
    caughtBy: { test: "src/federation/hub/membership/membership-state.test.ts" },
  },
  {
    name: "the next membership has the name of the last",
    file: "src/federation/hub/membership/membership-state.ts",
    find: "    this.#count++;\n",
    put: "",
    caughtBy: { test: "src/federation/hub/membership/membership-state.test.ts" },
  },
  {
    name: "a membership serves in the moment in which it ends",
    file: "src/federation/hub/membership/membership-state.ts",
    find: "nowMs >= this.endsMs",
    put: "nowMs > this.endsMs",
    caughtBy: { test: "src/federation/hub/membership/membership-state.test.ts" },
  },
  {
    name: "the end of a membership is said twice",
    file: "src/federation/hub/membership/membership-state.ts",
    find: "    this.#member = false;\n",
    put: "",
    caughtBy: { test: "src/federation/hub/membership/membership-state.test.ts" },
  },
];
