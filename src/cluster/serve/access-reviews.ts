import { isJsonObject, type JsonObject } from "../../base/json.ts";
import type { DiscoveredResource } from "../cluster.ts";
import { ApiStatusError, type StatusCause } from "../api-status-error.ts";
import { badRequest } from "./api-errors.ts";
import type { Authenticator } from "./authentication.ts";
import { ISSUER } from "./tokens/service-account-tokens.ts";
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
  review(AUTHENTICATION, "tokenreviews", "TokenReview"),
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
 * @throws ApiStatusError 400, 422 for a review without a question
 */
export async function answerReview(
  { authorizer, authenticator }: { readonly authorizer: Authorizer; readonly authenticator: Authenticator },
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
        userInfo: userInfo(user),
      });
    case "tokenreviews": {
      const token = text(spec["token"]);
      if (token === "") throw badRequest("token is required for TokenReview in authentication");
      const asked = texts(spec["audiences"]);
      const found = await authenticator.authenticateToken(token, asked.length === 0 ? [ISSUER] : asked);
      return answered(
        found === undefined
          ? { user: {}, error: "invalid bearer token" }
          : { authenticated: true, user: userInfo(found.user), audiences: [...found.audiences] },
      );
    }
    case "selfsubjectrulesreviews": {
      const asked = text(spec["namespace"]);
      if (asked === "") throw badRequest("no namespace on request");
      const rules = await authorizer.rules(user, asked);
      return answered({
        resourceRules: rules.resourceRules.map(({ verbs, apiGroups, resources, resourceNames }) => ({
          verbs: [...verbs],
          apiGroups: [...apiGroups],
          resources: [...resources],
          ...(resourceNames === undefined || resourceNames.length === 0 ? {} : { resourceNames: [...resourceNames] }),
        })),
        nonResourceRules: rules.nonResourceRules.map(({ verbs, nonResourceURLs }) => ({
          verbs: [...verbs],
          nonResourceURLs: [...nonResourceURLs],
        })),
        incomplete: rules.incomplete,
        ...(rules.evaluationError === "" ? {} : { evaluationError: rules.evaluationError }),
      });
    }
    default: {
      checkQuestion(resource, spec, namespace);
      const subject = resource.resource === "selfsubjectaccessreviews" ? user : subjectOf(spec);
      const { allowed, reason } = await authorizer.authorize(subject, attributesOf(spec));
      return answered({ allowed, ...(reason === "" ? {} : { reason }) });
    }
  }
}

/** A user as `authentication.k8s.io/v1 UserInfo`. */
function userInfo({ name, uid, groups, extra }: User): JsonObject {
  const lists = Object.entries(extra ?? {}).map(([key, values]): [string, JsonObject[string]] => [key, [...values]]);
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    groups: [...groups],
    ...(lists.length === 0 ? {} : { extra: Object.fromEntries(lists) }),
  };
}

function subjectOf(spec: JsonObject): User {
  return { name: text(spec["user"]), groups: texts(spec["groups"]) };
}

/** @throws ApiStatusError 422 with every cause */
function checkQuestion(resource: DiscoveredResource, spec: JsonObject, namespace: string): void {
  const causes: StatusCause[] = [];
  const wrong = (field: string, value: unknown, why: string): void => {
    const message = `Invalid value: ${JSON.stringify(value ?? null)}: ${why}`;
    causes.push({ reason: "FieldValueInvalid", field, message });
  };
  const attributes = spec["resourceAttributes"];
  const path = spec["nonResourceAttributes"];
  const local = resource.resource === "localsubjectaccessreviews";
  if (isJsonObject(attributes) && isJsonObject(path))
    wrong("spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes");
  if (!isJsonObject(attributes) && !isJsonObject(path))
    wrong(
      "spec.resourceAttributes",
      null,
      "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    );
  if (
    resource.resource !== "selfsubjectaccessreviews" &&
    text(spec["user"]) === "" &&
    texts(spec["groups"]).length === 0
  )
    wrong("spec.user", "", "at least one of user or group must be specified");
  if (local && isJsonObject(attributes) && text(attributes["namespace"]) !== namespace)
    wrong("spec.resourceAttributes.namespace", text(attributes["namespace"]), "must match metadata.namespace");
  if (local && isJsonObject(path)) wrong("spec.nonResourceAttributes", path, "disallowed on this kind of request");
  if (causes.length === 0) return;
  const all = causes.map(({ field, message }) => `${field}: ${message}`);
  const shown = all.length === 1 ? all.join("") : `[${all.join(", ")}]`;
  const { group } = resource;
  // Without the kind, as kube-apiserver words it.
  throw new ApiStatusError(422, "Invalid", `.${group} "" is invalid: ${shown}`, { group, causes });
}

function attributesOf(spec: JsonObject): AccessAttributes {
  const path = spec["nonResourceAttributes"];
  if (isJsonObject(path)) return { type: "nonResource", verb: text(path["verb"]), path: text(path["path"]) };
  const attributes = isJsonObject(spec["resourceAttributes"]) ? spec["resourceAttributes"] : {};
  return {
    type: "resource",
    verb: text(attributes["verb"]),
    group: text(attributes["group"]),
    version: text(attributes["version"]),
    resource: text(attributes["resource"]),
    subresource: text(attributes["subresource"]),
    name: text(attributes["name"]),
    namespace: text(attributes["namespace"]),
  };
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
