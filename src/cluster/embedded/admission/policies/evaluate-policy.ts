import { evaluationError } from "../../schema/cel/evaluation-error.ts";
import type { AdmissionBindings, AdmissionCel } from "../admission-cel.ts";
import type { MatchCondition, PolicyObject, Validation } from "./policy-shapes.ts";

/** Why a policy refuses a request. */
export interface Refusal {
  readonly message: string;
  /** `metav1.StatusReason`; `Invalid` when the policy says none. */
  readonly reason: string;
}

/** Longest message an expression may give (`celconfig.MaxEvaluatedMessageExpressionSizeBytes`). */
const MAX_MESSAGE_BYTES = 5 * 1024;

/** What the match conditions of a policy or webhook say. */
export type Matched = { readonly matches: boolean } | { readonly error: string };

/** False conditions outweigh those that fail, whichever comes first. */
export function meetsConditions(
  cel: AdmissionCel,
  conditions: readonly MatchCondition[],
  bindings: AdmissionBindings,
): Matched {
  const errors: string[] = [];
  for (const { expression } of conditions) {
    try {
      if (cel.compile(expression).run(bindings) !== true) return { matches: false };
    } catch (error) {
      errors.push(failed(expression, error));
    }
  }
  return errors.length > 0 ? { error: errors.join(", ") } : { matches: true };
}

/** Evaluates the checks of a policy on one request with one parameter object; expressions that fail refuse unless `failurePolicy` is Ignore. */
export function evaluatePolicy(
  cel: AdmissionCel,
  policy: PolicyObject,
  request: AdmissionBindings,
): readonly Refusal[] {
  const { spec } = policy;
  const strict = spec.failurePolicy !== "Ignore";
  const bindings: AdmissionBindings = { ...request, variables: lazyVariables(cel, spec.variables ?? [], request) };
  const conditions = meetsConditions(cel, spec.matchConditions ?? [], bindings);
  if ("error" in conditions) return strict ? [{ message: conditions.error, reason: "Invalid" }] : [];
  if (!conditions.matches) return [];
  const refusals: Refusal[] = [];
  for (const validation of spec.validations ?? []) {
    const { expression, reason = "Invalid" } = validation;
    try {
      if (cel.compile(expression).run(bindings) !== true) {
        refusals.push({ message: messageOf(cel, validation, bindings), reason });
      }
    } catch (error) {
      if (strict) refusals.push({ message: failed(expression, error), reason: "Invalid" });
    }
  }
  return refusals;
}

function messageOf(cel: AdmissionCel, validation: Validation, bindings: AdmissionBindings): string {
  const fallback = validation.message?.trim() || `failed expression: ${validation.expression.trim()}`;
  if (!validation.messageExpression) return fallback;
  try {
    const text = cel.compile(validation.messageExpression).run(bindings);
    const usable =
      typeof text === "string" &&
      text.trim() !== "" &&
      !text.includes("\n") &&
      Buffer.byteLength(text) <= MAX_MESSAGE_BYTES;
    return usable ? text.trim() : fallback;
  } catch {
    return fallback; // a message that cannot be computed must not hide the check that failed
  }
}

/** `variables.name`: each is evaluated when it is first named, and may name those before it. */
function lazyVariables(
  cel: AdmissionCel,
  declared: readonly { readonly name: string; readonly expression: string }[],
  request: AdmissionBindings,
): object {
  const variables = {};
  for (const { name, expression } of declared) {
    let known: { readonly value: unknown } | undefined;
    Object.defineProperty(variables, name, {
      enumerable: true,
      get: () => {
        try {
          known ??= { value: cel.compile(expression).run({ ...request, variables }) };
        } catch (cause) {
          const why = `composited variable ${JSON.stringify(name)} fails to evaluate: ${evaluationError(cause)}`;
          throw new Error(why, { cause });
        }
        return known.value;
      },
    });
  }
  return variables;
}

function failed(expression: string, error: unknown): string {
  return `expression '${expression.trim()}' resulted in error: ${evaluationError(error)}`;
}
