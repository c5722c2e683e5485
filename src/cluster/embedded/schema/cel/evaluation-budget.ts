import type { Environment } from "@marcbachmann/cel-js";
import { COUNT_FUNCTION } from "./cel-source.ts";

/** Rounds of all loops in one evaluation; kube-apiserver's limit of a million units of cost is in the same class. */
const MAX_ROUNDS = 200_000;

/** Ends an evaluation whose loops take too many rounds. */
export class EvaluationBudget {
  #left = MAX_ROUNDS;

  /** Makes the counting function known to an environment. */
  register(environment: Environment): Environment {
    return environment.registerFunction(`${COUNT_FUNCTION}(): bool`, () => {
      if (--this.#left < 0) throw new Error("operation cancelled: actual cost limit exceeded");
      return true;
    });
  }

  /** Runs one evaluation with a budget of its own. @throws Error when it is used up */
  spend<T>(evaluate: () => T): T {
    this.#left = MAX_ROUNDS;
    return evaluate();
  }
}
