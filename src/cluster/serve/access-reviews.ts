import { isJsonObject, type JsonObject } from "../../base/json.ts";
import type { DiscoveredResource } from "../cluster.ts";
import { badRequest } from "./api-errors.ts";
import type { User } from "./user.ts";
import type { AccessAttributes, Authorizer } from "./authorizer.ts";

const AUTHORIZATION = "authorization.k8s.io";
const AUTHENTICATION = "authentication.k8s.io";

function review(group: string, resource: string, kind: string, namespaced = false): DiscoveredResource {
  return {
    group,
    version: "v1",
    resource,
    kind,
    namespaced,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: [],
    verbs: ["create"],
    subresources: [],
  };
}

/** Resources that are questions: they are answered and never stored. */
export const REVIEW_RESOURCES: readonly DiscoveredResource[] = [
  review(AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview"),
  review(AUTHORIZATION, "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
  review(AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
  review(AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
  review(AUTHORIZATION, "subjectaccessreviews", "SubjectAccessReview"),
];

/**
 * Answers a review with its status filled in.
 *
 * @param resource one of {@link REVIEW_RESOURCES}
 * @param namespace of the request path; empty at the cluster scope
 * @throws ApiStatusError 400 for a review without a question
 */
export async function answerReview(
  authorizer: Authorizer,
  resource: DiscoveredResource,
  body: JsonObject,
  user: User,
  namespace: string,
): Promise<JsonObject> {
  const spec = isJsonObject(body["spec"]) ? body["spec"] : {};
  const answered = (status: JsonObject): JsonObject => ({
    kind: resource.kind,
    apiVersion: `${resource.group}/${resource.version}`,
    metadata: isJsonObject(body["metadata"]) ? body["metadata"] : {},
    ...(resource.resource === "selfsubjectreviews" ? {} : { spec }),
    status,
  });
  switch (resource.resource) {
    case "selfsubjectreviews":
      return answered({
        userInfo: { username: user.name, ...(user.uid ? { uid: user.uid } : {}), groups: [...user.groups] },
      });
    case "selfsubjectrulesreviews": {
      const rules = await authorizer.rules(user, text(spec["namespace"]));
      return answered({
        resourceRules: rules.resourceRules.map(({ verbs, apiGroups, resources, resourceNames }) => ({
          verbs: [...verbs],
          apiGroups: [...apiGroups],
          resources: [...resources],
          ...(resourceNames === undefined ? {} : { resourceNames: [...resourceNames] }),
        })),
        nonResourceRules: rules.nonResourceRules.map(({ verbs, nonResourceURLs }) => ({
          verbs: [...verbs],
          nonResourceURLs: [...nonResourceURLs],
        })),
        incomplete: rules.incomplete,
      });
    }
    default: {
      const subject = resource.resource === "selfsubjectaccessreviews" ? user : subjectOf(spec);
      const { allowed, reason } = await authorizer.authorize(subject, attributesOf(spec, namespace));
      return answered({ allowed, ...(reason === "" ? {} : { reason }) });
    }
  }
}

function subjectOf(spec: JsonObject): User {
  const groups = Array.isArray(spec["groups"]) ? spec["groups"] : [];
  const user: User = {
    name: text(spec["user"]),
    groups: groups.filter((group): group is string => typeof group === "string"),
  };
  if (user.name === "" && user.groups.length === 0) throw badRequest("at least one of user or group must be specified");
  return user;
}

function attributesOf(spec: JsonObject, namespace: string): AccessAttributes {
  const resource = spec["resourceAttributes"];
  const path = spec["nonResourceAttributes"];
  if (isJsonObject(resource) === isJsonObject(path))
    throw badRequest("exactly one of nonResourceAttributes or resourceAttributes must be specified");
  if (isJsonObject(path)) return { type: "nonResource", verb: text(path["verb"]), path: text(path["path"]) };
  const attributes = isJsonObject(resource) ? resource : {};
  return {
    type: "resource",
    verb: text(attributes["verb"]),
    group: text(attributes["group"]),
    version: text(attributes["version"]),
    resource: text(attributes["resource"]),
    subresource: text(attributes["subresource"]),
    name: text(attributes["name"]),
    namespace: text(attributes["namespace"]) || namespace,
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
