import type { JsonObject } from "../../base/json.ts";
import type { RequestFields } from "../service/request-form.ts";
import { BodyFields } from "./body-fields.ts";

/** One AuthZEN evaluation in the words of CheckPermission. */
export interface Evaluation extends RequestFields {
  readonly principal: string;
  readonly groups: readonly string[];
  readonly cluster: string;
}

/** The four members of an evaluation. */
const MEMBERS = ["subject", "action", "resource", "context"] as const;
/** `subject.type` of principals that a snapshot knows; groups come as `subject.properties.groups`. */
const SUBJECT_TYPES: readonly string[] = ["user", "serviceaccount"];
/** `resource.type` of a path such as `/healthz`, which is then `resource.id`. No Kubernetes resource has capitals. */
const PATH_TYPE = "nonResourceURL";

/**
 * Reads an evaluation (permissions §11.2): `subject.id` is the principal, `action.name` the verb, `resource.type` is
 * `group/resource[/subresource]` (one segment alone is of the core group), `resource.id` the object name, `context.namespace` the
 * namespace, `context.cluster` the cluster. Members that are absent are taken whole from `defaults`, those of a batch.
 */
export function readEvaluation(
  item: JsonObject,
  defaults: JsonObject = {},
): { readonly evaluation: Evaluation; readonly faults: readonly string[] } {
  const body = new BodyFields(Object.fromEntries(MEMBERS.map((name) => [name, item[name] ?? defaults[name]])));
  for (const name of ["subject", "action", "resource"]) if (!body.has(name)) body.fault(name, "is required");
  const subject = body.object("subject");
  const resource = body.object("resource");
  const context = body.object("context");
  if (!SUBJECT_TYPES.includes(subject.text("type").toLowerCase()))
    subject.fault("type", `must be ${SUBJECT_TYPES.join(" or ")}`);
  const evaluation = {
    principal: subject.text("id"),
    groups: subject.object("properties").texts("groups"),
    verb: body.object("action").text("name"),
    cluster: context.text("cluster"),
    namespace: context.text("namespace"),
    ...resourceOf(resource),
  };
  return { evaluation, faults: body.faults };
}

function resourceOf(
  fields: BodyFields,
): Pick<RequestFields, "apiGroup" | "resource" | "subresource" | "resourceName" | "path"> {
  const type = fields.text("type");
  const id = fields.text("id");
  const none = { apiGroup: "", resource: "", subresource: "", resourceName: "", path: "" };
  if (type === PATH_TYPE) {
    if (id === "") fields.fault("id", "must be the path");
    return { ...none, path: id };
  }
  const segments = type.split("/");
  const [apiGroup = "", resource = "", ...rest] = segments.length === 1 ? ["", type] : segments;
  const subresource = rest.join("/");
  if (resource === "" || (rest.length > 0 && subresource === ""))
    fields.fault("type", `must be group/resource[/subresource], /resource for the core group, or ${PATH_TYPE}`);
  return { ...none, apiGroup, resource, subresource, resourceName: id };
}
