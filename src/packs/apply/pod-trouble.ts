import { Pod } from "../../api/builtin.ts";
import type { Unstructured } from "../../api/object.ts";
import { errorMessage } from "../../base/errors.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import type { ApplyParts } from "./pack-application.ts";

/** Pods looked at for one workload. */
const MAX_PODS = 50;

/** The first reason a pod of a workload gives for not running, for example `ImagePullBackOff: …`; undefined when none says one. */
export async function podTrouble(parts: ApplyParts, workload: Unstructured): Promise<string | undefined> {
  const spec: unknown = workload["spec"];
  const selector: unknown = isJsonObject(spec) ? spec["selector"] : undefined;
  const labels: unknown = isJsonObject(selector) ? selector["matchLabels"] : undefined;
  const { namespace } = workload.metadata;
  if (!isJsonObject(labels) || namespace === undefined) return undefined;
  const labelSelector = Object.entries(labels)
    .flatMap(([key, value]) => (typeof value === "string" ? [`${key}=${value}`] : []))
    .join(",");
  try {
    const pods = await parts.cluster.list(Pod, { namespace, labelSelector, limit: MAX_PODS });
    for (const pod of pods.items) {
      for (const container of pod.status?.containerStatuses ?? []) {
        const reason = waitingReason(container);
        if (reason !== undefined) return reason;
      }
    }
  } catch (error) {
    parts.log.debug({ error: errorMessage(error), namespace }, "pods cannot be read");
  }
  return undefined;
}

function waitingReason(container: JsonObject): string | undefined {
  const state: unknown = container["state"];
  const waiting: unknown = isJsonObject(state) ? state["waiting"] : undefined;
  if (!isJsonObject(waiting)) return undefined;
  const { reason, message } = waiting;
  if (typeof reason !== "string" || reason === "ContainerCreating" || reason === "PodInitializing") return undefined;
  return typeof message === "string" ? `${reason}: ${message}` : reason;
}
