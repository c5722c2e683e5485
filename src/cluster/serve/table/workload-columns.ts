import { isJsonObject, type JsonObject, type JsonValue } from "../../../base/json.ts";
import { AGE, column, NAME, wide } from "./columns.ts";
import { age, humanDuration } from "./human-duration.ts";
import { labelsText, selectorText } from "./selector-text.ts";
import { at, listAt, numberAt, orNone, type TableColumn, textAt } from "./table-column.ts";
import { podColumns } from "./pod-columns.ts";

function containers(priority: 0 | 1, ...path: readonly string[]): readonly TableColumn[] {
  const make = priority === 0 ? column : wide;
  const texts = (object: JsonObject, field: string): string =>
    listAt(object, ...path, "containers")
      .map((container) => textAt(container, field))
      .join(",");
  return [make("Containers", (object) => texts(object, "name")), make("Images", (object) => texts(object, "image"))];
}

const TEMPLATE = containers(1, "spec", "template", "spec");
const SELECTOR = wide("Selector", (object) => selectorText(at(object, "spec", "selector")));

function integer(name: string, ...path: readonly string[]): TableColumn {
  return column(name, (object) => numberAt(object, ...path), "integer");
}

function desiredReplicas(object: JsonObject): number {
  const replicas = at(object, "spec", "replicas");
  return typeof replicas === "number" ? replicas : 1;
}

function readyOfDesired(object: JsonObject): string {
  return `${numberAt(object, "status", "readyReplicas")}/${desiredReplicas(object)}`;
}

function hasCondition(object: JsonObject, type: string): boolean {
  return listAt(object, "status", "conditions").some(
    (condition) => textAt(condition, "type") === type && textAt(condition, "status") === "True",
  );
}

function jobStatus(object: JsonObject): string {
  if (hasCondition(object, "Complete")) return "Complete";
  if (hasCondition(object, "Failed")) return "Failed";
  if (textAt(object, "metadata", "deletionTimestamp") !== "") return "Terminating";
  if (hasCondition(object, "Suspended")) return "Suspended";
  if (hasCondition(object, "FailureTarget")) return "FailureTarget";
  if (hasCondition(object, "SuccessCriteriaMet")) return "SuccessCriteriaMet";
  return "Running";
}

function jobCompletions(object: JsonObject): string {
  const succeeded = numberAt(object, "status", "succeeded");
  const completions = at(object, "spec", "completions");
  if (typeof completions === "number") return `${succeeded}/${completions}`;
  const parallelism = numberAt(object, "spec", "parallelism");
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration(object: JsonObject, nowMs: number): string {
  const start = Date.parse(textAt(object, "status", "startTime"));
  if (Number.isNaN(start)) return "";
  const completed = textAt(object, "status", "completionTime");
  const failed = listAt(object, "status", "conditions").find((condition) => textAt(condition, "type") === "Failed");
  const end = completed === "" ? textAt(failed, "lastTransitionTime") : completed;
  return humanDuration((end === "" ? nowMs : Date.parse(end)) - start);
}

function controllerOf(object: JsonObject): JsonValue | undefined {
  return listAt(object, "metadata", "ownerReferences").find((owner) => at(owner, "controller") === true);
}

/** Columns of pods and of what makes pods, by `group/resource`. */
export const WORKLOAD_COLUMNS: ReadonlyMap<string, readonly TableColumn[]> = new Map<string, readonly TableColumn[]>([
  ["/pods", podColumns],
  [
    "/podtemplates",
    [
      NAME,
      ...containers(0, "template", "spec"),
      column("Pod Labels", (object) => labelsText(at(object, "template", "metadata", "labels"))),
    ],
  ],
  [
    "/replicationcontrollers",
    [
      NAME,
      integer("Desired", "spec", "replicas"),
      integer("Current", "status", "replicas"),
      integer("Ready", "status", "readyReplicas"),
      AGE,
      ...TEMPLATE,
      wide("Selector", (object) => labelsText(at(object, "spec", "selector"))),
    ],
  ],
  [
    "apps/deployments",
    [
      NAME,
      column("Ready", readyOfDesired),
      column("Up-to-date", (object) => String(numberAt(object, "status", "updatedReplicas"))),
      column("Available", (object) => String(numberAt(object, "status", "availableReplicas"))),
      AGE,
      ...TEMPLATE,
      SELECTOR,
    ],
  ],
  [
    "apps/replicasets",
    [
      NAME,
      column("Desired", desiredReplicas, "integer"),
      integer("Current", "status", "replicas"),
      integer("Ready", "status", "readyReplicas"),
      AGE,
      ...TEMPLATE,
      SELECTOR,
    ],
  ],
  ["apps/statefulsets", [NAME, column("Ready", readyOfDesired), AGE, ...TEMPLATE]],
  [
    "apps/daemonsets",
    [
      NAME,
      integer("Desired", "status", "desiredNumberScheduled"),
      integer("Current", "status", "currentNumberScheduled"),
      integer("Ready", "status", "numberReady"),
      integer("Up-to-date", "status", "updatedNumberScheduled"),
      integer("Available", "status", "numberAvailable"),
      column("Node Selector", (object) => labelsText(at(object, "spec", "template", "spec", "nodeSelector"))),
      AGE,
      ...TEMPLATE,
      SELECTOR,
    ],
  ],
  [
    "apps/controllerrevisions",
    [
      NAME,
      column("Controller", (object) => {
        const owner = controllerOf(object);
        if (owner === undefined) return "<none>";
        const [group = ""] = textAt(owner, "apiVersion").split("/", 1);
        return `${textAt(owner, "kind").toLowerCase()}.${group}/${textAt(owner, "name")}`;
      }),
      column("Revision", (object) => textAt(object, "revision")),
      AGE,
    ],
  ],
  [
    "batch/jobs",
    [
      NAME,
      column("Status", jobStatus),
      column("Completions", jobCompletions),
      column("Duration", jobDuration),
      AGE,
      ...TEMPLATE,
      SELECTOR,
    ],
  ],
  [
    "batch/cronjobs",
    [
      NAME,
      column("Schedule", (object) => textAt(object, "spec", "schedule")),
      column("Timezone", (object) => orNone(textAt(object, "spec", "timeZone"))),
      column("Suspend", (object) => (at(object, "spec", "suspend") === true ? "True" : "False"), "boolean"),
      column("Active", (object) => listAt(object, "status", "active").length, "integer"),
      column("Last Schedule", (object, now) => {
        const last = at(object, "status", "lastScheduleTime");
        return last === undefined ? "<none>" : age(last, now);
      }),
      AGE,
      ...containers(1, "spec", "jobTemplate", "spec", "template", "spec"),
      wide("Selector", (object) => {
        const selector = at(object, "spec", "jobTemplate", "spec", "selector");
        return isJsonObject(selector) ? selectorText(selector) : "<none>";
      }),
    ],
  ],
]);
