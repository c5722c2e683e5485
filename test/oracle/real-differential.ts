import { SeededRandom } from "../../src/base/random.ts";
import { indexOf } from "../../src/permissions/index/permission-index.ts";
import type { SnapshotContent } from "../../src/permissions/snapshot/content.ts";
import { scanDecision } from "./permission-scan.ts";
import { WORLD_NOW_MS, randomQuestion, randomWorld } from "./permission-worlds.ts";
import type { RealAuthorizer, TaggedWorld } from "./real-authorizer.ts";

/** What the three said of one question when not all said the same. */
export interface RealDifference {
  readonly world: TaggedWorld;
  readonly question: number;
  readonly server: boolean;
  readonly index: boolean;
  readonly scan: boolean;
}

/** A world that API objects can say in full: nobody is suspended, which is ours alone. */
export function worldsForServers(seed: number, count: number, questions: number): readonly TaggedWorld[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const content: SnapshotContent = { ...randomWorld(random), suspendedPrincipals: [] };
    return {
      tag: `w${seed}-${i}`,
      content,
      questions: Array.from({ length: questions }, () => randomQuestion(random)),
    };
  });
}

/** Puts the questions of worlds that the server holds to the server, the index and the scan. */
export async function compareWithServer(
  server: RealAuthorizer,
  worlds: readonly TaggedWorld[],
): Promise<{
  readonly asked: number;
  readonly allowed: number;
  readonly differences: readonly RealDifference[];
  readonly answers: readonly (readonly boolean[])[];
}> {
  const differences: RealDifference[] = [];
  const answers: (readonly boolean[])[] = [];
  let asked = 0;
  let allowed = 0;
  for (const world of worlds) {
    const index = indexOf(world.content);
    const said = await server.answers(world);
    answers.push(said);
    for (const [i, { user, groups, request }] of world.questions.entries()) {
      const byIndex = index.decide(user, groups, request, WORLD_NOW_MS) === "allowed";
      const byScan = scanDecision(world.content, user, groups, request, WORLD_NOW_MS) === "allowed";
      const byServer = said[i] === true;
      asked += 1;
      if (byServer) allowed += 1;
      if (byIndex !== byServer || byScan !== byServer)
        differences.push({ world, question: i, server: byServer, index: byIndex, scan: byScan });
    }
  }
  return { asked, allowed, differences, answers };
}
