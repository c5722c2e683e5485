import { create } from "@bufbuild/protobuf";
import {
  type CheckPermissionRequest,
  CheckPermissionRequestSchema,
  CheckPermissionResponseSchema,
  DecisionCode,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { CallContext } from "../../api/grpc/call-context.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import type { JsonObject } from "../../base/json.ts";
import type { PermissionMethods } from "../service/permission-handlers.ts";
import { BodyFields } from "./body-fields.ts";
import { badRequest } from "./http-problem.ts";
import { replyMessage } from "./reply-message.ts";
import { codeName } from "./wire-names.ts";

const API_VERSION = "authorization.k8s.io/v1";
const KIND = "SubjectAccessReview";

/** Path of the API server's authorization webhook form (permissions §11.2). */
export const SUBJECT_ACCESS_REVIEW_PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/** Codes by which the service did decide; any other is an inability, which the API server sees as `evaluationError`. */
const DECIDED: ReadonlySet<DecisionCode> = new Set([
  DecisionCode.ALLOWED,
  DecisionCode.NO_MATCHING_RULE,
  DecisionCode.PRINCIPAL_UNKNOWN,
  DecisionCode.PRINCIPAL_SUSPENDED,
  DecisionCode.CONDITIONAL_ON_NAME,
]);

/**
 * Answers a SubjectAccessReview by CheckPermission. No match is no opinion: `denied` is always false, so that the next authorizer of
 * the API server is asked. What cannot be decided is `allowed: false` with `evaluationError`.
 *
 * @throws HttpProblem 400 when the body is no SubjectAccessReview
 */
export async function answerSubjectAccessReview(
  body: JsonObject,
  context: CallContext,
  methods: PermissionMethods,
): Promise<JsonObject> {
  const request = readReview(body);
  const status = await decide(request, context, methods);
  return { apiVersion: API_VERSION, kind: KIND, metadata: {}, spec: body["spec"], status };
}

async function decide(
  request: CheckPermissionRequest,
  context: CallContext,
  methods: PermissionMethods,
): Promise<JsonObject> {
  try {
    const answer = replyMessage(CheckPermissionResponseSchema, await methods.checkPermission(request, context));
    const { allowed, code, reason } = answer;
    const text = `${codeName(code)}: ${reason}`;
    return { allowed, denied: false, ...(DECIDED.has(code) ? { reason: text } : { evaluationError: text }) };
  } catch (error) {
    // A name longer than the service takes, for example: well-formed, and nothing this authorizer can have an opinion on.
    if (error instanceof GrpcStatusError && error.code === Status.INVALID_ARGUMENT)
      return { allowed: false, denied: false, evaluationError: error.details };
    throw error;
  }
}

function readReview(body: JsonObject): CheckPermissionRequest {
  const review = new BodyFields(body);
  const { faults } = review;
  if (review.text("apiVersion") !== API_VERSION) review.fault("apiVersion", `must be ${API_VERSION}`);
  if (review.text("kind") !== KIND) review.fault("kind", `must be ${KIND}`);
  const spec = review.object("spec");
  const isResource = spec.has("resourceAttributes");
  if (isResource === spec.has("nonResourceAttributes"))
    spec.fault("resourceAttributes", "or nonResourceAttributes must be set, exactly one of the two");
  const about = { principal: spec.text("user"), groups: [...spec.texts("groups")], deriveGroups: false };
  const request = create(CheckPermissionRequestSchema, {
    ...about,
    requestId: "",
    ...(isResource
      ? resourceAsked(spec.object("resourceAttributes"))
      : pathAsked(spec.object("nonResourceAttributes"))),
  });
  if (faults.length > 0) throw badRequest(KIND, faults);
  return request;
}

/** The API server knows the groups and splits the subresource itself: everything is literal here. */
function resourceAsked(asked: BodyFields) {
  const resource = asked.text("resource");
  if (resource.includes("/")) asked.fault("resource", "has no slash; a subresource has its own field");
  return {
    resource,
    verb: asked.text("verb"),
    apiGroup: asked.text("group"),
    subresource: asked.text("subresource"),
    resourceName: asked.text("name"),
    namespace: asked.text("namespace"),
  };
}

function pathAsked(asked: BodyFields) {
  const path = asked.text("path");
  // An empty path would read as a question about a resource.
  if (path === "") asked.fault("path", "is required");
  return { path, verb: asked.text("verb") };
}
