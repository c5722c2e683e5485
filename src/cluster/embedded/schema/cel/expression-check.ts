import type { JsonObject } from "../../../../base/json.ts";

/** What `oldSelf` is in an expression: the old value, or an optional that is empty on create (`optionalOldSelf`). */
export type OldSelf = "value" | "optional";

/** What the compiler finds out about a CEL expression of a schema. */
export interface ExpressionCheck {
  /** Type of the result: `bool`, `string`, `dyn` … */
  readonly type: string;
  readonly usesOldSelf: boolean;
  /** Rounds its loops take at most, by the limits of the schema. */
  readonly rounds: number;
}

/** Compiles an expression for values of a schema. @throws Error naming what does not compile */
export type CheckExpression = (source: string, oldSelf: OldSelf, schema: JsonObject, root: boolean) => ExpressionCheck;
