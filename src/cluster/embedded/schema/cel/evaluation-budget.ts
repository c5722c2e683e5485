import type { Environment } from "@marcbachmann/cel-js";
import { COUNT_FUNCTION } from "./cel-source.ts";

/** Rounds of all loops in one evaluation; kube-apiserver's limit of a million units of cost is in the same class. */
const MAX_ROUNDS = 200_000;

const EXCEEDED = "operation cancelled: actual cost limit exceeded";

interface Loop {
  handle: (...loop: readonly unknown[]) => unknown;
}

function isLoop(node: object): node is Loop {
  return "op" in node && node.op === "comprehension" && "handle" in node && typeof node.handle === "function";
}

/** Ends an evaluation whose loops take too many rounds. */
export class EvaluationBudget {
  #left = MAX_ROUNDS;

  /** Makes the counting function known to an environment. */
  register(environment: Environment): Environment {
    return environment.registerFunction(`${COUNT_FUNCTION}(): bool`, () => {
      if (--this.#left < 0) throw new Error(EXCEEDED);
      return true;
    });
  }

  /**
   * Makes no loop of a compiled expression begin once the budget is used up. `all` and `exists` go on after an error in one round, so the
   * counting function alone would only make each round of nested loops slower.
   *
   * @param ast of the compiled and checked expression
   */
  watch(ast: unknown): void {
    const seen = new Set<unknown>();
    const visit = (node: unknown): void => {
      if (typeof node !== "object" || node === null || node instanceof Map || seen.has(node)) return;
      seen.add(node);
      if (isLoop(node)) {
        const { handle } = node;
        node.handle = (...loop) => {
          if (this.#left < 0) throw new Error(EXCEEDED);
          return handle(...loop);
        };
      }
      for (const child of Object.values(node)) visit(child);
      // A macro stands beside the loop that it expands to.
      if ("meta" in node) visit(node.meta);
    };
    visit(ast);
  }

  /** Runs one evaluation with a budget of its own. @throws Error when it is used up */
  spend<T>(evaluate: () => T): T {
    this.#left = MAX_ROUNDS;
    return evaluate();
  }
}
