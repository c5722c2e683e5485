import { errorMessage } from "../../../../base/errors.ts";

/** Why an expression could not be evaluated, in one line and, where the library words it differently, as CEL for Go does. */
export function evaluationError(error: unknown): string {
  const line = errorMessage(error).split("\n", 1)[0] ?? "";
  return line
    .replace(/^No such key: /, "no such key: ")
    .replace(/^(int|uint|double)\(\) type error: cannot convert to \1$/, "type conversion error from 'string' to '$1'");
}
