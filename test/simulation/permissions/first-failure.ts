import { parseArgs } from "node:util";
import { simulatePermissions } from "./simulate-permissions.ts";

const { values } = parseArgs({
  options: { first: { type: "string", default: "1" }, seeds: { type: "string", default: "100" } },
});
const first = Number(values.first);

// Ends at the first seed that fails, in one line: what a mutant is tried with.
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const { failure } = await simulatePermissions(seed);
  if (failure === undefined) continue;
  console.log(`seed ${seed}: ${failure}`);
  process.exitCode = 1;
  break;
}
