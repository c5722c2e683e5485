import { Environment } from "@marcbachmann/cel-js";
import { errorMessage } from "../../../base/errors.ts";
import { isMap, type Json } from "../json/mutable-json.ts";
import { adaptSource } from "../schema/cel/cel-source.ts";
import { EvaluationBudget } from "../schema/cel/evaluation-budget.ts";
import { registerKubernetesFunctions } from "../schema/cel/functions.ts";

/** Compiled expressions kept; the whole cache is dropped when it is full. */
const MAX_CACHED_EXPRESSIONS = 2_000;
/** What expressions of policies and match conditions may name ("CEL in Kubernetes", admission control). */
const VARIABLES = ["object", "oldObject", "request", "params", "namespaceObject", "variables"] as const;

/** Values of the variables, as CEL takes them. */
export type AdmissionBindings = Readonly<Record<(typeof VARIABLES)[number], unknown>>;

/** A compiled expression. */
export interface AdmissionProgram {
  /** Result type as the checker sees it: `bool`, `string`, `dyn` … */
  readonly type: string;
  /** @throws Error when evaluation fails */
  run(bindings: AdmissionBindings): unknown;
}

/** Compiles the CEL expressions of admission, once per text. */
export class AdmissionCel {
  readonly #programs = new Map<string, AdmissionProgram | Error>();
  readonly #budget = new EvaluationBudget();
  #environment: Environment | undefined;

  /** @throws Error naming what does not compile */
  compile(source: string): AdmissionProgram {
    let program = this.#programs.get(source);
    if (program === undefined) {
      if (this.#programs.size >= MAX_CACHED_EXPRESSIONS) this.#programs.clear();
      program = this.#compile(source);
      this.#programs.set(source, program);
    }
    if (program instanceof Error) throw program;
    return program;
  }

  #compile(source: string): AdmissionProgram | Error {
    try {
      this.#environment ??= this.#budget.register(createEnvironment());
      const parsed = this.#environment.parse(adaptSource(source));
      const checked = parsed.check();
      if (!checked.valid) return new Error(firstLine(checked.error?.message ?? "does not compile"));
      this.#budget.watch(parsed.ast);
      return {
        type: checked.type ?? "dyn",
        run: (bindings) => this.#budget.spend((): unknown => parsed({ ...bindings })),
      };
    } catch (error) {
      return new Error(firstLine(errorMessage(error)));
    }
  }
}

function createEnvironment(): Environment {
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
  for (const name of VARIABLES) environment.registerVariable(name, "dyn");
  return registerKubernetesFunctions(environment);
}

/** JSON as CEL sees it without a schema: whole numbers are `int`, others `double`, texts stay texts. */
export function celOf(value: Json | undefined): unknown {
  if (value === undefined) return null;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celOf);
  if (isMap(value)) return new Map(Object.entries(value).map(([name, member]) => [name, celOf(member)]));
  return value;
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}
