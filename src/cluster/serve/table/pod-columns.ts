import type { JsonObject, JsonValue } from "../../../base/json.ts";
import { AGE, column, NAME, wide } from "./columns.ts";
import { age } from "./human-duration.ts";
import { at, listAt, numberAt, orNone, type TableColumn, textAt } from "./table-column.ts";

function isRestartable(container: JsonValue): boolean {
  return textAt(container, "restartPolicy") === "Always";
}

function restartableInit(object: JsonObject): ReadonlySet<string> {
  return new Set(
    listAt(object, "spec", "initContainers")
      .filter(isRestartable)
      .map((container) => textAt(container, "name")),
  );
}

/** Statuses of the containers that count as the pod's own: regular ones and sidecars. */
function countedStatuses(object: JsonObject): readonly JsonValue[] {
  const sidecars = restartableInit(object);
  return [
    ...listAt(object, "status", "initContainerStatuses").filter((status) => sidecars.has(textAt(status, "name"))),
    ...listAt(object, "status", "containerStatuses"),
  ];
}

function ready(object: JsonObject): string {
  const statuses = countedStatuses(object);
  const count = statuses.filter(
    (status) => at(status, "ready") === true && at(status, "state", "running") !== undefined,
  ).length;
  return `${count}/${listAt(object, "spec", "containers").length + restartableInit(object).size}`;
}

function terminatedReason(terminated: JsonValue): string {
  const reason = textAt(terminated, "reason");
  if (reason !== "") return reason;
  const signal = numberAt(terminated, "signal");
  return signal === 0 ? `ExitCode:${numberAt(terminated, "exitCode")}` : `Signal:${signal}`;
}

/** Why initialization is not over; undefined when it is. */
function initReason(object: JsonObject): string | undefined {
  const total = listAt(object, "spec", "initContainers").length;
  const sidecars = restartableInit(object);
  const statuses = listAt(object, "status", "initContainerStatuses");
  for (const [index, status] of statuses.entries()) {
    const terminated = at(status, "state", "terminated");
    if (terminated !== undefined && numberAt(terminated, "exitCode") === 0) continue;
    if (sidecars.has(textAt(status, "name")) && at(status, "started") === true) continue;
    if (terminated !== undefined) return `Init:${terminatedReason(terminated)}`;
    const waiting = textAt(status, "state", "waiting", "reason");
    return waiting !== "" && waiting !== "PodInitializing" ? `Init:${waiting}` : `Init:${index}/${total}`;
  }
  return undefined;
}

function isReady(object: JsonObject): boolean {
  return listAt(object, "status", "conditions").some(
    (condition) => textAt(condition, "type") === "Ready" && textAt(condition, "status") === "True",
  );
}

function containersReason(object: JsonObject, otherwise: string): string {
  let reason = otherwise;
  let running = false;
  for (const status of listAt(object, "status", "containerStatuses").toReversed()) {
    const waiting = textAt(status, "state", "waiting", "reason");
    const terminated = at(status, "state", "terminated");
    if (waiting !== "") reason = waiting;
    else if (terminated !== undefined) reason = terminatedReason(terminated);
    else if (at(status, "ready") === true && at(status, "state", "running") !== undefined) running = true;
  }
  if (reason === "Completed" && running) return isReady(object) ? "Running" : "NotReady";
  return reason;
}

/** What kubectl shows as the status of a pod: the phase, or the more telling reason of a container. */
export function podStatus(object: JsonObject): string {
  const phase = textAt(object, "status", "phase");
  const podReason = textAt(object, "status", "reason");
  const gated = listAt(object, "status", "conditions").some(
    (condition) => textAt(condition, "type") === "PodScheduled" && textAt(condition, "reason") === "SchedulingGated",
  );
  const base = gated ? "SchedulingGated" : podReason === "" ? phase : podReason;
  const reason = initReason(object) ?? containersReason(object, base);
  if (textAt(object, "metadata", "deletionTimestamp") === "") return reason;
  if (podReason === "NodeLost") return "Unknown";
  return phase === "Succeeded" || phase === "Failed" ? reason : "Terminating";
}

function restarts(object: JsonObject, nowMs: number): string {
  const statuses =
    initReason(object) === undefined ? countedStatuses(object) : listAt(object, "status", "initContainerStatuses");
  const count = statuses.reduce<number>((sum, status) => sum + numberAt(status, "restartCount"), 0);
  const last = statuses
    .map((status) => textAt(status, "lastState", "terminated", "finishedAt"))
    .filter((time) => time !== "")
    .sort()
    .at(-1);
  return count === 0 || last === undefined ? String(count) : `${count} (${age(last, nowMs)} ago)`;
}

function readinessGates(object: JsonObject): string {
  const gates = listAt(object, "spec", "readinessGates");
  if (gates.length === 0) return "<none>";
  const met = gates.filter((gate) =>
    listAt(object, "status", "conditions").some(
      (condition) =>
        textAt(condition, "type") === textAt(gate, "conditionType") && textAt(condition, "status") === "True",
    ),
  );
  return `${met.length}/${gates.length}`;
}

/** Columns of pods. */
export const podColumns: readonly TableColumn[] = [
  NAME,
  column("Ready", ready),
  column("Status", podStatus),
  column("Restarts", restarts),
  AGE,
  wide("IP", (object) => orNone(textAt(object, "status", "podIP"))),
  wide("Node", (object) => orNone(textAt(object, "spec", "nodeName"))),
  wide("Nominated Node", (object) => orNone(textAt(object, "status", "nominatedNodeName"))),
  wide("Readiness Gates", readinessGates),
];
