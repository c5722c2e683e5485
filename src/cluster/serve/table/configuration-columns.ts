import type { JsonObject, JsonValue } from "../../../base/json.ts";
import { AGE, column, NAME, textColumn, wide } from "./columns.ts";
import { age } from "./human-duration.ts";
import { at, listAt, numberAt, orNone, sizeAt, type TableColumn, textAt } from "./table-column.ts";

/** Time of the latest occurrence of an event, whichever of its three fields holds it. */
function lastSeen(object: JsonObject): string {
  const series = textAt(object, "series", "lastObservedTime");
  if (series !== "") return series;
  const last = textAt(object, "lastTimestamp");
  return last === "" ? firstSeen(object) : last;
}

function firstSeen(object: JsonObject): string {
  const first = textAt(object, "firstTimestamp");
  if (first !== "") return first;
  const event = textAt(object, "eventTime");
  return event === "" ? textAt(object, "metadata", "creationTimestamp") : event;
}

function eventSource(object: JsonObject): string {
  const component = textAt(object, "source", "component") || textAt(object, "reportingComponent");
  const host = textAt(object, "source", "host") || textAt(object, "reportingInstance");
  return host === "" ? component : `${component}, ${host}`;
}

function eventCount(object: JsonObject): string {
  return String(numberAt(object, "series", "count") || numberAt(object, "count") || 1);
}

const EVENT_COLUMNS: readonly TableColumn[] = [
  column("Last Seen", (object, now) => age(lastSeen(object), now)),
  column("Type", (object) => textAt(object, "type")),
  column("Reason", (object) => textAt(object, "reason")),
  column(
    "Object",
    (object) => `${textAt(object, "involvedObject", "kind").toLowerCase()}/${textAt(object, "involvedObject", "name")}`,
  ),
  wide("Subobject", (object) => textAt(object, "involvedObject", "fieldPath")),
  wide("Source", eventSource),
  column("Message", (object) => textAt(object, "message").trim()),
  wide("First Seen", (object, now) => age(firstSeen(object), now)),
  wide("Count", eventCount),
  { ...NAME, priority: 1 },
];

function subjects(kind: string): (object: JsonObject) => string {
  return (object) =>
    listAt(object, "subjects")
      .filter((subject) => textAt(subject, "kind") === kind)
      .map((subject) => {
        const name = textAt(subject, "name");
        return kind === "ServiceAccount" ? `${textAt(subject, "namespace")}/${name}` : name;
      })
      .join(", ");
}

const BINDING_COLUMNS: readonly TableColumn[] = [
  NAME,
  column("Role", (object) => `${textAt(object, "roleRef", "kind")}/${textAt(object, "roleRef", "name")}`),
  AGE,
  wide("Users", subjects("User")),
  wide("Groups", subjects("Group")),
  wide("ServiceAccounts", subjects("ServiceAccount")),
];

const WEBHOOK_COLUMNS: readonly TableColumn[] = [
  NAME,
  column("Webhooks", (object) => listAt(object, "webhooks").length, "integer"),
  AGE,
];

function amounts(object: JsonObject, prefix: (name: string) => boolean): string {
  const hard = at(object, "status", "hard");
  if (typeof hard !== "object" || hard === null) return "";
  return Object.keys(hard)
    .filter(prefix)
    .sort()
    .map((name) => `${name}: ${textAt(object, "status", "used", name) || "0"}/${textAt(hard as JsonValue, name)}`)
    .join(", ");
}

function apiServiceAvailable(object: JsonObject): string {
  const condition = listAt(object, "status", "conditions").find((each) => textAt(each, "type") === "Available");
  if (condition === undefined) return "Unknown";
  const status = textAt(condition, "status");
  return status === "True" ? status : `${status} (${textAt(condition, "reason")})`;
}

function requestCondition(object: JsonObject): string {
  const types = listAt(object, "status", "conditions").map((condition) => textAt(condition, "type"));
  const shown = types.length === 0 ? ["Pending"] : types;
  return [...shown, ...(textAt(object, "status", "certificate") === "" ? [] : ["Issued"])].join(",");
}

/** Columns of configuration, access rules and the cluster's own machinery, by `group/resource`. */
export const CONFIGURATION_COLUMNS: ReadonlyMap<string, readonly TableColumn[]> = new Map<
  string,
  readonly TableColumn[]
>([
  ["/namespaces", [NAME, column("Status", (object) => textAt(object, "status", "phase")), AGE]],
  ["/configmaps", [NAME, column("Data", (object) => sizeAt(object, "data") + sizeAt(object, "binaryData")), AGE]],
  [
    "/secrets",
    [NAME, column("Type", (object) => textAt(object, "type")), column("Data", (object) => sizeAt(object, "data")), AGE],
  ],
  ["/serviceaccounts", [NAME, AGE]],
  ["/events", EVENT_COLUMNS],
  [
    "/resourcequotas",
    [
      NAME,
      column("Request", (object) => amounts(object, (name) => !name.startsWith("limits."))),
      column("Limit", (object) => amounts(object, (name) => name.startsWith("limits."))),
      AGE,
    ],
  ],
  ["coordination.k8s.io/leases", [NAME, column("Holder", (object) => textAt(object, "spec", "holderIdentity")), AGE]],
  ["rbac.authorization.k8s.io/rolebindings", BINDING_COLUMNS],
  ["rbac.authorization.k8s.io/clusterrolebindings", BINDING_COLUMNS],
  ["admissionregistration.k8s.io/validatingwebhookconfigurations", WEBHOOK_COLUMNS],
  ["admissionregistration.k8s.io/mutatingwebhookconfigurations", WEBHOOK_COLUMNS],
  [
    "admissionregistration.k8s.io/validatingadmissionpolicies",
    [
      NAME,
      column("Validations", (object) => listAt(object, "spec", "validations").length, "integer"),
      column("ParamKind", (object) => {
        const kind = textAt(object, "spec", "paramKind", "kind");
        return kind === "" ? "<unset>" : `${textAt(object, "spec", "paramKind", "apiVersion")}/${kind}`;
      }),
      AGE,
    ],
  ],
  [
    "admissionregistration.k8s.io/validatingadmissionpolicybindings",
    [
      NAME,
      column("PolicyName", (object) => textAt(object, "spec", "policyName")),
      column("ParamRef", (object) => {
        const name = textAt(object, "spec", "paramRef", "name");
        const namespace = textAt(object, "spec", "paramRef", "namespace");
        return name === "" ? "<unset>" : namespace === "" ? name : `${namespace}/${name}`;
      }),
      AGE,
    ],
  ],
  [
    "apiregistration.k8s.io/apiservices",
    [
      NAME,
      column("Service", (object) => {
        const name = textAt(object, "spec", "service", "name");
        return name === "" ? "Local" : `${textAt(object, "spec", "service", "namespace")}/${name}`;
      }),
      column("Available", apiServiceAvailable),
      AGE,
    ],
  ],
  [
    "scheduling.k8s.io/priorityclasses",
    [
      NAME,
      column("Value", (object) => numberAt(object, "value"), "integer"),
      column("Global-Default", (object) => at(object, "globalDefault") === true, "boolean"),
      AGE,
      column("PreemptionPolicy", (object) => textAt(object, "preemptionPolicy") || "PreemptLowerPriority"),
    ],
  ],
  ["node.k8s.io/runtimeclasses", [NAME, column("Handler", (object) => textAt(object, "handler")), AGE]],
  [
    "certificates.k8s.io/certificatesigningrequests",
    [
      NAME,
      AGE,
      textColumn("SignerName", "spec", "signerName"),
      column("Requestor", (object) => textAt(object, "spec", "username")),
      column("RequestedDuration", (object) => {
        const seconds = at(object, "spec", "expirationSeconds");
        return typeof seconds === "number" ? `${seconds}s` : "<none>";
      }),
      column("Condition", requestCondition),
    ],
  ],
  [
    "flowcontrol.apiserver.k8s.io/flowschemas",
    [
      NAME,
      textColumn("PriorityLevel", "spec", "priorityLevelConfiguration", "name"),
      column("MatchingPrecedence", (object) => String(numberAt(object, "spec", "matchingPrecedence"))),
      textColumn("DistinguisherMethod", "spec", "distinguisherMethod", "type"),
      AGE,
      column(
        "MissingPL",
        (object) =>
          textAt(
            listAt(object, "status", "conditions").find((each) => textAt(each, "type") === "Dangling"),
            "status",
          ) || "?",
      ),
    ],
  ],
  [
    "policy/poddisruptionbudgets",
    [
      NAME,
      column("Min Available", (object) => textAt(object, "spec", "minAvailable") || "N/A"),
      column("Max Unavailable", (object) => textAt(object, "spec", "maxUnavailable") || "N/A"),
      column("Allowed Disruptions", (object) => numberAt(object, "status", "disruptionsAllowed"), "integer"),
      AGE,
    ],
  ],
  [
    "autoscaling/horizontalpodautoscalers",
    [
      NAME,
      column(
        "Reference",
        (object) =>
          `${textAt(object, "spec", "scaleTargetRef", "kind")}/${textAt(object, "spec", "scaleTargetRef", "name")}`,
      ),
      column("Targets", (object) => orNone(listAt(object, "spec", "metrics").map(metricTarget).join(", "))),
      column("MinPods", (object) => textAt(object, "spec", "minReplicas") || "<unset>"),
      column("MaxPods", (object) => textAt(object, "spec", "maxReplicas")),
      column("Replicas", (object) => String(numberAt(object, "status", "currentReplicas"))),
      AGE,
    ],
  ],
]);

function metricTarget(metric: JsonValue): string {
  const utilization = at(metric, "resource", "target", "averageUtilization");
  return typeof utilization === "number"
    ? `${textAt(metric, "resource", "name")}: <unknown>/${utilization}%`
    : `<unknown>/${textAt(metric, "type")}`;
}
