import { isJsonObject, type JsonObject } from "../../base/json.ts";
import type { StatusCause } from "../api-status-error.ts";
import type { DeleteOptions } from "../cluster.ts";
import { booleanParameter, dryRunParameter, invalidOptions, numberParameter, textParameter } from "./query-options.ts";

/** What a deletion asks for: the members of a body before the parameters of the query. @throws ApiStatusError 422 with every wrong field */
export function deleteOptions(query: URLSearchParams, body: JsonObject): DeleteOptions {
  const causes: StatusCause[] = [];
  const stages = Array.isArray(body["dryRun"]) ? (body["dryRun"] as readonly unknown[]) : query.getAll("dryRun");
  const dryRun = dryRunParameter(
    stages.filter((stage): stage is string => typeof stage === "string"),
    causes,
  );
  const asked = body["propagationPolicy"] ?? textParameter(query, "propagationPolicy");
  const orphan =
    body["orphanDependents"] ??
    (query.has("orphanDependents") ? booleanParameter(query, "orphanDependents") : undefined);
  const policies = ["Background", "Foreground", "Orphan"] as const;
  const policy = policies.find((known) => known === asked) ?? (orphan === true ? "Orphan" : undefined);
  if (asked !== undefined && asked !== null && !policies.some((known) => known === asked))
    causes.push({
      reason: "FieldValueInvalid",
      field: "propagationPolicy",
      message: `Invalid value: ${JSON.stringify(asked)}: not found in ["Background" "Foreground" "Orphan"]`,
    });
  const grace = body["gracePeriodSeconds"] ?? numberParameter(query, "gracePeriodSeconds");
  const preconditions = isJsonObject(body["preconditions"]) ? body["preconditions"] : {};
  const { uid, resourceVersion } = preconditions;
  if (causes.length > 0) throw invalidOptions("DeleteOptions", causes);
  return {
    ...(dryRun ? { dryRun } : {}),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...(typeof grace === "number" ? { gracePeriodSeconds: grace } : {}),
    preconditions: {
      ...(typeof uid === "string" && uid !== "" ? { uid } : {}),
      ...(typeof resourceVersion === "string" && resourceVersion !== "" ? { resourceVersion } : {}),
    },
  };
}
