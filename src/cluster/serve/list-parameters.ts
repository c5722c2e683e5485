import type { StatusCause } from "../api-status-error.ts";
import { invalidOptions } from "./query-options.ts";

const MATCH = "resourceVersionMatch";

function forbidden(field: string, why: string): StatusCause {
  return { reason: "FieldValueForbidden", field, message: `Forbidden: ${why}` };
}

function unsupported(match: string, supported: readonly string[]): StatusCause {
  const values = supported.map((value) => JSON.stringify(value)).join(", ");
  const message = `Unsupported value: ${JSON.stringify(match)}: supported values: ${values}`;
  return { reason: "FieldValueNotSupported", field: MATCH, message };
}

/** Checks which parameters of a list or watch go together (apimachinery `ValidateListOptions`). @throws ApiStatusError 422 */
export function checkListParameters(query: URLSearchParams, watch: boolean): void {
  const match = query.get(MATCH) ?? "";
  const initial = query.has("sendInitialEvents");
  const continued = (query.get("continue") ?? "") !== "";
  const causes: StatusCause[] = [];
  const forbidContinue = (): void => {
    if (continued) causes.push(forbidden(MATCH, "resourceVersionMatch is forbidden for continue"));
  };
  if (watch) {
    if (initial && match !== "NotOlderThan") {
      causes.push(forbidden(MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if (match !== "") {
      if (!initial) {
        causes.push(
          forbidden(MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
        );
      }
      if (match !== "NotOlderThan") causes.push(unsupported(match, ["NotOlderThan"]));
      forbidContinue();
    }
  } else {
    const version = query.get("resourceVersion") ?? "";
    if (match !== "") {
      if (version === "")
        causes.push(forbidden(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
      forbidContinue();
      if (match !== "Exact" && match !== "NotOlderThan") causes.push(unsupported(match, ["Exact", "NotOlderThan", ""]));
      if (match === "Exact" && version === "0") {
        causes.push(forbidden(MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
      }
    }
    if (initial) causes.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  }
  if (causes.length > 0) throw invalidOptions("ListOptions", causes);
}
