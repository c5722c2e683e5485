/** One directed story, played by the simulated hub and agents. It fails by throwing. */
export interface Scenario {
  /** What must hold, said as a sentence. */
  readonly name: string;
  readonly run: () => void;
}
