import { parseArgs } from "node:util";
import { simulatePermissions } from "../permissions/simulate-permissions.ts";
import { SCENARIOS } from "../scenarios/scenarios.ts";
import { play } from "../scenarios/scenario.ts";
import { simulate } from "../simulation.ts";

const { values } = parseArgs({
  options: {
    first: { type: "string", default: "1" },
    seeds: { type: "string", default: "100" },
    replicas: { type: "string", default: "1" },
    permissions: { type: "boolean", default: false },
    scenario: { type: "string" },
  },
});

// Ends at the first failure, in one line: what a mutant is tried with.
if (values.scenario === undefined) await trySeeds(Number(values.first), Number(values.seeds));
else playOnes(values.scenario);

async function trySeeds(first: number, seeds: number): Promise<void> {
  const options = { replicas: Number(values.replicas) };
  for (let seed = first; seed < first + seeds; seed++) {
    const { failure } = values.permissions ? await simulatePermissions(seed, options) : simulate(seed, options);
    if (failure === undefined) continue;
    fails(`seed ${seed}: ${failure}`);
    return;
  }
}

function playOnes(begins: string): void {
  const played = SCENARIOS.filter(({ name }) => name.startsWith(begins));
  if (played.length === 0) throw new Error(`no scenario begins with "${begins}"`);
  for (const scenario of played) {
    try {
      play(scenario);
    } catch (error) {
      fails(`${scenario.name}: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
  }
}

function fails(text: string): void {
  console.log(text.split("\n")[0]);
  process.exitCode = 1;
}
