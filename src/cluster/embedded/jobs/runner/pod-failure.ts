import type { JobObject, PodFailureRule, PodObject } from "../../../../api/builtin.ts";
import { isJsonObject } from "../../../../base/json.ts";

/** What a failed pod means for its Job. */
export type FailureVerdict =
  | { readonly action: "Count" | "Ignore" }
  /** The Job fails with this message. */
  | { readonly action: "FailJob"; readonly message: string };

/** Container name and exit code of a pod's terminated containers that failed. */
function failedContainers(pod: PodObject): readonly { readonly name: string; readonly exitCode: number }[] {
  return (pod.status?.containerStatuses ?? []).flatMap((status) => {
    const state = isJsonObject(status["state"]) ? status["state"] : {};
    const terminated = isJsonObject(state["terminated"]) ? state["terminated"] : {};
    const { exitCode } = terminated;
    return typeof exitCode === "number" && exitCode !== 0 && typeof status["name"] === "string"
      ? [{ name: status["name"], exitCode }]
      : [];
  });
}

/** Decides by the first rule of the Job's `podFailurePolicy` that matches; without one the failure counts. */
export function judgeFailure(job: JobObject, pod: PodObject): FailureVerdict {
  const rules = job.spec.podFailurePolicy?.rules ?? [];
  for (const [index, rule] of rules.entries()) {
    const why = matchesRule(rule, pod);
    if (why === undefined) continue;
    if (rule.action !== "FailJob") return { action: rule.action === "Ignore" ? "Ignore" : "Count" };
    return { action: "FailJob", message: `${why} matching FailJob rule at index ${index}` };
  }
  return { action: "Count" };
}

/** What matched, in words; undefined when nothing did. */
function matchesRule({ onExitCodes, onPodConditions }: PodFailureRule, pod: PodObject): string | undefined {
  const name = `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`;
  if (onExitCodes) {
    const { containerName, operator, values } = onExitCodes;
    const found = failedContainers(pod).find(
      (container) =>
        (containerName === undefined || containerName === container.name) &&
        values.includes(container.exitCode) === (operator === "In"),
    );
    return found && `Container ${found.name} for pod ${name} failed with exit code ${found.exitCode}`;
  }
  const found = onPodConditions?.find(({ type, status = "True" }) =>
    pod.status?.conditions?.some((condition) => condition.type === type && condition.status === status),
  );
  return found && `Pod ${name} has condition ${found.type}`;
}
