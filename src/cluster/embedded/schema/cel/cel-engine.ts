import { Environment, Optional, type ParseResult } from "@marcbachmann/cel-js";
import { errorMessage } from "../../../../base/errors.ts";
import type { JsonObject } from "../../../../base/json.ts";
import { SchemaNode } from "../schema-node.ts";
import { adaptSource, mentionsOldSelf } from "./cel-source.ts";
import { celType } from "./cel-types.ts";
import { estimateRounds } from "./estimate-rounds.ts";
import { EvaluationBudget } from "./evaluation-budget.ts";
import type { ExpressionCheck, OldSelf } from "./expression-check.ts";
import { registerKubernetesFunctions } from "./functions.ts";

/** Compiled expressions kept; the whole cache is dropped when it is full. */
const MAX_CACHED_EXPRESSIONS = 5_000;

/** A compiled rule or message expression. */
export interface CelProgram {
  /** Whether it compares with the old value: a transition rule. */
  readonly usesOldSelf: boolean;
  /** @throws Error when evaluation fails */
  run(self: unknown, oldSelf: unknown): unknown;
}

/** Compiles the CEL expressions of schemas, once per text. */
export class CelEngine {
  /** Without `self`, whose type differs from schema to schema. */
  readonly #environments = new Map<OldSelf, Environment>();
  readonly #untypedEnvironments = new Map<OldSelf, Environment>();
  readonly #programs = new Map<string, CelProgram | Error>();
  readonly #budget = new EvaluationBudget();

  /** @throws Error naming what does not compile */
  compile(source: string, oldSelf: OldSelf = "value"): CelProgram {
    const key = `${oldSelf} ${source}`;
    let program = this.#programs.get(key);
    if (program === undefined) {
      if (this.#programs.size >= MAX_CACHED_EXPRESSIONS) this.#programs.clear();
      program = this.#compile(source, oldSelf);
      this.#programs.set(key, program);
    }
    if (program instanceof Error) throw program;
    return program;
  }

  /**
   * Compiles an expression and checks it against the schema of `self`: a field that does not exist is an error, as is everything that does
   * not compile at all.
   *
   * @throws Error naming what does not compile
   */
  check(source: string, oldSelf: OldSelf, schema: JsonObject, root: boolean): ExpressionCheck {
    const { usesOldSelf } = this.compile(source, oldSelf);
    const node = new SchemaNode(schema);
    const type = celType(node, root);
    const typed = this.#environment(oldSelf).clone();
    const declared = typeof type === "string" ? { type } : { schema: type };
    const parsed = typed.registerVariable("self", declared).parse(adaptSource(source));
    const rounds = estimateRounds(parsed.ast, node);
    const checked = parsed.check();
    if (checked.valid) return { type: checked.type ?? "dyn", usesOldSelf, rounds };
    const missing = /^No such key: (?<field>\S+)/.exec(checked.error?.message ?? "")?.groups?.["field"];
    if (missing !== undefined) throw new Error(`undefined field '${missing}'`);
    // The library's checker knows fewer conversions than kube-apiserver's: only what it is sure of counts.
    return { type: "dyn", usesOldSelf, rounds };
  }

  /** Building an environment takes milliseconds: only clusters with rules pay for it. */
  #environment(oldSelf: OldSelf): Environment {
    let environment = this.#environments.get(oldSelf);
    if (!environment) {
      const library = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
      environment = this.#budget.register(
        registerKubernetesFunctions(library).registerVariable(
          "oldSelf",
          oldSelf === "optional" ? "optional<dyn>" : "dyn",
        ),
      );
      this.#environments.set(oldSelf, environment);
    }
    return environment;
  }

  #untyped(oldSelf: OldSelf): Environment {
    let environment = this.#untypedEnvironments.get(oldSelf);
    if (!environment) {
      environment = this.#environment(oldSelf).clone().registerVariable("self", "dyn");
      this.#untypedEnvironments.set(oldSelf, environment);
    }
    return environment;
  }

  #compile(source: string, oldSelf: OldSelf): CelProgram | Error {
    try {
      const parsed = this.#untyped(oldSelf).parse(adaptSource(source));
      const checked = parsed.check();
      if (!checked.valid) return new Error(firstLine(checked.error?.message ?? "does not compile"));
      this.#budget.watch(parsed.ast);
      return {
        usesOldSelf: mentionsOldSelf(source),
        run: (self, old) => this.#budget.spend(() => evaluate(parsed, self, oldSelfOf(old, oldSelf))),
      };
    } catch (error) {
      return new Error(firstLine(errorMessage(error)));
    }
  }
}

function evaluate(parsed: ParseResult, self: unknown, oldSelf: unknown): unknown {
  const result: unknown = parsed({ self, oldSelf });
  return result;
}

function oldSelfOf(old: unknown, oldSelf: OldSelf): unknown {
  if (oldSelf === "value") return old === undefined ? null : old;
  return old === undefined ? Optional.none() : Optional.of(old);
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}
