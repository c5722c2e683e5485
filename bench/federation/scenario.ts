import type { Row } from "../report/rows.ts";
import type { Material } from "./material.ts";

/** What a scenario is run with. */
export interface ScenarioContext {
  /** Certificates for at least this many agents. */
  material(agents: number): Promise<Material>;
  /** True for the sizes and times of docs/performance.md; false for a look of some seconds. */
  readonly long: boolean;
  /** Number of agents instead of a scenario's own. */
  readonly agents: number | undefined;
  /** Measured repetitions where a scenario repeats. */
  readonly runs: number;
  /** Minutes of the soak and of the long steady load. */
  readonly minutes: number;
  progress(text: string): void;
}

/** A scenario: runs ours, and the floor beside it in the same run where there is one. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  run(context: ScenarioContext): Promise<readonly Row[]>;
}
