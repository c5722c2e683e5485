import { SmallWorld, type SmallWorldOptions } from "./small-world.ts";
import { SimulationFailure } from "../world.ts";

/** Lines of a transcript that a failure shows at most: the end is what tells. */
const SHOWN_LINES = 60;
/** Time in which agents that are switched on agree with the hub, virtual milliseconds. */
const BEGIN_MS = 60_000;

/** Makes a world; its agents, if they are switched on, agree with the hub about everything. */
export type Begin = (options?: SmallWorldOptions) => SmallWorld;

/** One directed story, played by the simulated hub and agents. It fails by throwing. */
export interface Scenario {
  /** What must hold, said as a sentence. */
  readonly name: string;
  readonly run: (begin: Begin) => void;
}

/**
 * Plays a scenario. One that fails is played again with a transcript.
 *
 * @throws SimulationFailure with what was broken and the end of the transcript
 */
export function play({ run }: Scenario): void {
  const worlds: SmallWorld[] = [];
  let traced = false;
  const begin: Begin = (options) => {
    const small = new SmallWorld({ ...options, traced });
    worlds.push(small);
    if (small.agents.some(({ session }) => session !== undefined)) small.converge(BEGIN_MS);
    return small;
  };
  try {
    run(begin);
  } catch (error) {
    traced = true;
    try {
      run(begin);
    } catch {
      // the same failure, with its story
    }
    const lines = worlds.at(-1)?.world.transcript.split("\n") ?? [];
    const message = error instanceof Error ? error.message : String(error);
    throw new SimulationFailure(`${message}\nits transcript ends:\n${lines.slice(-SHOWN_LINES).join("\n")}`, {
      cause: error,
    });
  } finally {
    for (const small of worlds) small.close();
  }
}
