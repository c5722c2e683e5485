import type { AccessRequest } from "../rules/access-request.ts";
import { derivedGroups } from "../rules/principal.ts";
import type { PrincipalContext } from "../decision/principal-context.ts";
import type { FieldViolations } from "./field-violations.ts";

const REQUIRED = { required: true } as const;
/** A verb has at most 63 characters. */
const VERB = { required: true, max: 63 } as const;

/** The part of a message that says what is asked; path or resource fields. */
export interface RequestFields {
  readonly verb: string;
  readonly apiGroup: string;
  readonly resource: string;
  readonly subresource: string;
  readonly resourceName: string;
  readonly namespace: string;
  readonly path: string;
}

/** Reads and checks what is asked. `pods/log` without a subresource is split at the first slash: only here, the core is literal. */
export function accessRequestOf(fields: RequestFields, violations: FieldViolations): AccessRequest {
  const { verb, apiGroup, namespace, resourceName: name, path } = fields;
  let { resource, subresource } = fields;
  violations.text("verb", verb, VERB);
  if (path !== "") {
    violations.text("path", path);
    const given = Object.entries({ apiGroup, resource, subresource, resourceName: name, namespace });
    for (const [field, value] of given)
      if (value !== "") violations.add(field, "is empty in a request about a path; ask about one or the other");
    return { form: "path", verb, path };
  }
  violations.text("resource", resource, REQUIRED);
  violations.text("apiGroup", apiGroup);
  violations.text("subresource", subresource);
  violations.text("resourceName", name);
  violations.text("namespace", namespace);
  const slash = resource.indexOf("/");
  if (slash >= 0) {
    if (subresource !== "")
      violations.add("resource", "has no slash when a subresource is given; put the name before the slash here");
    subresource = resource.slice(slash + 1);
    resource = resource.slice(0, slash);
  }
  return { form: "resource", verb, apiGroup, resource, subresource, name, namespace };
}

/** The part of a message that says who is asked about. */
export interface PrincipalFields {
  readonly principal: string;
  readonly groups: readonly string[];
  readonly deriveGroups?: boolean | undefined;
}

/** Reads and checks who is asked about; implicit groups are added unless that is turned off. */
export function principalContextOf(fields: PrincipalFields, violations: FieldViolations): PrincipalContext {
  const { principal: user, groups } = fields;
  violations.text("principal", user, REQUIRED);
  violations.groups(groups);
  if (fields.deriveGroups === false) return { user, groups };
  const derived = derivedGroups(user);
  if (groups.length === 0) return { user, groups: derived };
  return { user, groups: [...groups, ...derived.filter((group) => !groups.includes(group))] };
}
