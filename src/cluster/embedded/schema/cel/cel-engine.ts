import { Environment, Optional, type ParseResult } from "@marcbachmann/cel-js";
import { errorMessage } from "../../../../base/errors.ts";
import { adaptSource, mentionsOldSelf } from "./cel-source.ts";
import { registerKubernetesFunctions } from "./functions.ts";

/** Compiled expressions kept; the whole cache is dropped when it is full. */
const MAX_CACHED_EXPRESSIONS = 5_000;

/** What `oldSelf` is in an expression: the old value, or an optional that is empty on create (`optionalOldSelf`). */
export type OldSelf = "value" | "optional";

/** A compiled rule or message expression. */
export interface CelProgram {
  /** Whether it compares with the old value: a transition rule. */
  readonly usesOldSelf: boolean;
  /** @throws Error when evaluation fails */
  run(self: unknown, oldSelf: unknown): unknown;
}

/** Compiles the CEL expressions of schemas, once per text. */
export class CelEngine {
  readonly #environments = new Map<OldSelf, Environment>();
  readonly #programs = new Map<string, CelProgram | Error>();

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

  /** Building an environment takes milliseconds: only clusters with rules pay for it. */
  #environment(oldSelf: OldSelf): Environment {
    let environment = this.#environments.get(oldSelf);
    if (!environment) {
      environment = registerKubernetesFunctions(
        new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
          .registerVariable("self", "dyn")
          .registerVariable("oldSelf", oldSelf === "optional" ? "optional<dyn>" : "dyn"),
      );
      this.#environments.set(oldSelf, environment);
    }
    return environment;
  }

  #compile(source: string, oldSelf: OldSelf): CelProgram | Error {
    try {
      const parsed = this.#environment(oldSelf).parse(adaptSource(source));
      const checked = parsed.check();
      if (!checked.valid) return new Error(firstLine(checked.error?.message ?? "does not compile"));
      return {
        usesOldSelf: mentionsOldSelf(source),
        run: (self, old) => evaluate(parsed, self, oldSelfOf(old, oldSelf)),
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
