import type { Mutant } from "./mutant.ts";
import { AGENT_MUTANTS } from "./agent-mutants.ts";
import { HUB_MUTANTS } from "./hub-mutants.ts";
import { PERMISSION_MUTANTS } from "./permission-mutants.ts";
import { REPLICA_MUTANTS } from "./replica-mutants.ts";
import { STREAM_MUTANTS } from "./stream-mutants.ts";

/** Every list of mutants, by the name under which `mutate.ts` tries it. */
export const MUTANTS: Readonly<Record<string, readonly Mutant[]>> = {
  agent: AGENT_MUTANTS,
  hub: HUB_MUTANTS,
  permissions: PERMISSION_MUTANTS,
  replicas: REPLICA_MUTANTS,
  stream: STREAM_MUTANTS,
};
