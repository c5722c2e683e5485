import { apiVersionOf } from "../../../api/resource-type.ts";
import type { Json, JsonMap } from "../json/mutable-json.ts";
import { collectionId, type ServedResource } from "../resources/served-resource.ts";
import { type AdmissionBindings, celOf } from "./admission-cel.ts";
import type { AdmissionRequest } from "./admission-request.ts";
import type { MatchContext } from "./match-resources.ts";

/** Validating admission is told of a patch as of the update or create that it comes to. */
const OPTIONS_KIND = { CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions" } as const;

/** The request itself as policies and webhooks read it, in the version that matched; without the objects. */
export function requestDocument(request: AdmissionRequest, matched: ServedResource): JsonMap {
  const { resource, subresource, name, namespace, operation, user, dryRun } = request;
  const kindOf = ({ group, version, kind }: ServedResource): JsonMap => ({ group, version, kind });
  const resourceOf = ({ group, version, resource: plural }: ServedResource): JsonMap => ({
    group,
    version,
    resource: plural,
  });
  return {
    kind: kindOf(matched),
    resource: resourceOf(matched),
    ...(subresource === "" ? {} : { subResource: subresource }),
    requestKind: kindOf(resource),
    requestResource: resourceOf(resource),
    ...(subresource === "" ? {} : { requestSubResource: subresource }),
    name,
    ...(namespace === "" ? {} : { namespace }),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid === undefined ? {} : { uid: user.uid }),
      groups: [...user.groups],
      ...(user.extra === undefined ? {} : { extra: extraOf(user.extra) }),
    },
    dryRun,
    options: {
      kind: OPTIONS_KIND[operation],
      apiVersion: "meta.k8s.io/v1",
      ...(request.fieldManager === undefined ? {} : { fieldManager: request.fieldManager }),
      ...(dryRun ? { dryRun: ["All"] } : {}),
    },
  };
}

function extraOf(extra: Readonly<Record<string, readonly string[]>>): JsonMap {
  return Object.fromEntries(Object.entries(extra).map(([key, values]): [string, Json] => [key, [...values]]));
}

/** An object in the version that matched. */
export function shownIn(object: JsonMap | undefined, matched: ServedResource): JsonMap | undefined {
  return object === undefined ? undefined : { ...object, apiVersion: apiVersionOf(matched) };
}

/** What expressions see of a request, before parameters and variables. */
export function requestBindings(
  { store }: MatchContext,
  request: AdmissionRequest,
  matched: ServedResource,
): AdmissionBindings {
  const namespace =
    request.resource.namespaced && request.namespace !== ""
      ? store.collection(collectionId("", "namespaces")).tip(request.namespace)?.object
      : undefined;
  return {
    object: celOf(shownIn(request.object, matched)),
    oldObject: celOf(shownIn(request.oldObject, matched)),
    request: celOf(requestDocument(request, matched)),
    params: null,
    namespaceObject: celOf(namespace as unknown as Json | undefined),
    variables: null,
  };
}
