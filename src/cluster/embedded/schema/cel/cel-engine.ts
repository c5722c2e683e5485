import { Environment, type ParseResult } from "@marcbachmann/cel-js";
import { errorMessage } from "../../../../base/errors.ts";
import { registerKubernetesFunctions } from "./functions.ts";

/** Compiled expressions kept; the whole cache is dropped when it is full. */
const MAX_CACHED_EXPRESSIONS = 5_000;

/** A compiled rule or message expression. */
export interface CelProgram {
  /** Whether it compares with the old value: a transition rule. */
  readonly usesOldSelf: boolean;
  /** @throws Error when evaluation fails */
  run(self: unknown, oldSelf: unknown): unknown;
  /** Runs with `oldSelf` as an optional, empty for undefined (`optionalOldSelf`). @throws Error */
  runOptional(self: unknown, oldSelf: unknown): unknown;
}

/** Compiles the CEL expressions of schemas, once per text. */
export class CelEngine {
  #environment: Environment | undefined;
  readonly #programs = new Map<string, CelProgram | Error>();

  /** @throws Error naming what does not compile */
  compile(source: string): CelProgram {
    let program = this.#programs.get(source);
    if (program === undefined) {
      if (this.#programs.size >= MAX_CACHED_EXPRESSIONS) this.#programs.clear();
      program = this.#compile(source);
      this.#programs.set(source, program);
    }
    if (program instanceof Error) throw program;
    return program;
  }

  #compile(source: string): CelProgram | Error {
    this.#environment ??= registerKubernetesFunctions(
      new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
        .registerVariable("self", "dyn")
        .registerVariable("oldSelf", "dyn"),
    );
    try {
      const parsed = this.#environment.parse(withLinearMatches(source));
      const checked = parsed.check();
      if (!checked.valid) return new Error(firstLine(checked.error?.message ?? "does not compile"));
      const some = this.#environment.parse("optional.of(self)");
      const none = this.#environment.parse("optional.none()");
      return program(parsed, mentionsOldSelf(source), some, none);
    } catch (error) {
      return new Error(firstLine(errorMessage(error)));
    }
  }
}

function program(parsed: ParseResult, usesOldSelf: boolean, some: ParseResult, none: ParseResult): CelProgram {
  const evaluate = (self: unknown, oldSelf: unknown): unknown => {
    const result: unknown = parsed({ self, oldSelf: oldSelf === undefined ? null : oldSelf });
    return result;
  };
  return {
    usesOldSelf,
    run: evaluate,
    runOptional: (self, oldSelf) => {
      const optional: unknown = oldSelf === undefined ? none({}) : some({ self: oldSelf });
      return evaluate(self, optional);
    },
  };
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}

/** Text outside string literals, with each literal kept as one piece. */
const PIECES = /r?"""[^]*?"""|r?'''[^]*?'''|r"[^"\n]*"|r'[^'\n]*'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[^"'r]+|./gs;

function outsideLiterals(source: string, change: (text: string) => string): string {
  const pieces = source.match(PIECES) ?? [];
  let result = "";
  let plain = "";
  for (const piece of pieces) {
    if (/^r?["']/.test(piece) && piece.length > 1) {
      result += change(plain) + piece;
      plain = "";
    } else {
      plain += piece;
    }
  }
  return result + change(plain);
}

/** The library's `matches` runs any JavaScript pattern; ours reads RE2 syntax and cannot be made to backtrack for ever. */
function withLinearMatches(source: string): string {
  return outsideLiterals(source, (text) => text.replaceAll(/\.matches(\s*\()/g, ".matchesRe2$1"));
}

function mentionsOldSelf(source: string): boolean {
  let found = false;
  outsideLiterals(source, (text) => {
    found ||= /\boldSelf\b/.test(text);
    return text;
  });
  return found;
}
