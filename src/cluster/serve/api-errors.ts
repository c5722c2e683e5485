import { ApiStatusError, type StatusDetails } from "../api-status-error.ts";
import type { User } from "./user.ts";
import type { AccessAttributes } from "./authorizer.ts";

// Wording as kube-apiserver 1.36 answers it: people search for these sentences.

/** 404 of a path below a served group version that is no resource. */
export function resourceNotServed(): ApiStatusError {
  return new ApiStatusError(404, "NotFound", "the server could not find the requested resource");
}

/** 405. */
export function methodNotAllowed(): ApiStatusError {
  return new ApiStatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}

/** 406 with what the server can produce. */
export function notAcceptable(available: readonly string[]): ApiStatusError {
  return new ApiStatusError(
    406,
    "NotAcceptable",
    `406: Not Acceptable\n\nAvailable representations: ${available.join(", ")}`,
  );
}

/** 415 with what the server can read. */
export function unsupportedMediaType(accepted: readonly string[]): ApiStatusError {
  return new ApiStatusError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
}

/** 413. */
export function bodyTooLarge(limitBytes: number): ApiStatusError {
  return new ApiStatusError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${limitBytes}`);
}

/** 413 of YAML, which has a limit of its own. */
export function yamlTooLarge(limitBytes: number): ApiStatusError {
  return new ApiStatusError(
    413,
    "RequestEntityTooLarge",
    `Request entity too large: limit of YAML is ${limitBytes}: send JSON`,
  );
}

/** 408 of a body that comes too slowly. */
export function bodyTooSlow(limitMs: number): ApiStatusError {
  return new ApiStatusError(
    408,
    "Timeout",
    `Timeout: the body of the request did not come within ${limitMs / 1000} s: send it faster or in smaller objects`,
  );
}

/** 400. */
export function badRequest(message: string): ApiStatusError {
  return new ApiStatusError(400, "BadRequest", message);
}

/** 401. */
export function unauthorized(): ApiStatusError {
  return new ApiStatusError(401, "Unauthorized", "Unauthorized");
}

/** 403 in the words of the Kubernetes authorizers. */
export function forbidden(user: User, attributes: AccessAttributes, reason: string): ApiStatusError {
  const quoted = JSON.stringify(user.name);
  const why = reason === "" ? "" : `: ${reason}`;
  if (attributes.type === "nonResource")
    return new ApiStatusError(
      403,
      "Forbidden",
      `forbidden: User ${quoted} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}${why}`,
    );
  const { group, resource, subresource, name, namespace, verb } = attributes;
  const groupResource = group === "" ? resource : `${resource}.${group}`;
  const object = name === "" ? groupResource : `${groupResource} ${JSON.stringify(name)}`;
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(namespace)}`;
  const details: StatusDetails = { name, group, kind: resource };
  return new ApiStatusError(
    403,
    "Forbidden",
    `${object} is forbidden: User ${quoted} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}${why}`,
    details,
  );
}
