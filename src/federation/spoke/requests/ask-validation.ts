import { create } from "@bufbuild/protobuf";
import { RunnerConfigValidationRequestSchema } from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { canonicalJson } from "../../../base/canonical-json.ts";
import { digestOf } from "../../../base/digest.ts";
import { SeamError } from "../../../base/errors.ts";
import { uuidV4 } from "../../../base/ids.ts";
import type { JsonValue } from "../../../base/json.ts";
import type { Random } from "../../../base/random.ts";
import type { Spoke } from "../start-spoke.ts";

/** Longest wait for the verdict, milliseconds (conductor §4.13). */
export const VALIDATION_DEADLINE_MS = 10_000;

/** Verdict on a RunnerConfig. Whatever is not an approval by the hub is none. */
export type ValidationVerdict =
  | { readonly approved: true; readonly evaluatedGeneration: number }
  | {
      readonly approved: false;
      /** Code of why there is no verdict, or `Violations`. */
      readonly reason: string;
      /** For people. */
      readonly detail: string;
      readonly violations: readonly { readonly code: string; readonly field: string; readonly message: string }[];
    };

/** Asks the hub whether Jobs may be made from a RunnerConfig. Never throws for want of an answer: that is a refusal. */
export async function askValidation(
  spoke: Pick<Spoke, "request">,
  runnerConfig: RunnerConfig,
  random: Random,
): Promise<ValidationVerdict> {
  const { metadata, spec } = runnerConfig;
  const json = canonicalJson(JSON.parse(JSON.stringify(spec)) as JsonValue);
  const value = create(RunnerConfigValidationRequestSchema, {
    requestId: uuidV4(random),
    runnerConfigName: metadata.name,
    namespace: metadata.namespace ?? "",
    specDigest: digestOf(json),
    specJson: Buffer.from(json),
    deadlineMs: VALIDATION_DEADLINE_MS,
  });
  try {
    const answer = await spoke.request({ case: "runnerConfigValidationRequest", value }, VALIDATION_DEADLINE_MS);
    if (answer.case !== "runnerConfigValidationResponse") return refused("Unsupported", "the hub answered otherwise");
    const { approved, reason, violations, evaluatedGeneration } = answer.value;
    if (approved && violations.length === 0)
      return { approved: true, evaluatedGeneration: Number(evaluatedGeneration) };
    const listed = violations.map(({ code, field, message }) => ({ code, field, message }));
    return { approved: false, reason: "Violations", detail: reason, violations: listed };
  } catch (error) {
    if (!(error instanceof SeamError)) throw error;
    return refused(error.reason, error.message);
  }
}

function refused(reason: string, detail: string): ValidationVerdict {
  return { approved: false, reason, detail, violations: [] };
}
