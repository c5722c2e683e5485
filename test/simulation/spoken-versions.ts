import { PROTOCOL_VERSIONS } from "../../src/federation/session/limits.ts";
import type { World } from "./world.ts";

/** Protocol versions of a process: now and then those of an earlier build, so that every pair of builds meets. */
export function spokenVersions(world: World): readonly number[] {
  if (world.chance(0.7)) return PROTOCOL_VERSIONS;
  return PROTOCOL_VERSIONS.slice(0, world.between(1, PROTOCOL_VERSIONS.length - 1));
}
