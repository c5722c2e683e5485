import { create } from "@bufbuild/protobuf";
import {
  BatchCheckPermissionRequestSchema,
  BatchCheckPermissionResponseSchema,
  type CheckPermissionRequest,
  CheckPermissionRequestSchema,
  CheckPermissionResponseSchema,
  type DecisionCode,
  type ResponseMeta,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { CallContext } from "../../api/grpc/call-context.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import { MAX_BATCH } from "../service/decision-handlers.ts";
import { FieldViolations } from "../service/field-violations.ts";
import type { PermissionMethods } from "../service/permission-handlers.ts";
import { accessRequestOf, principalContextOf } from "../service/request-form.ts";
import { type Evaluation, readEvaluation } from "./authzen-evaluation.ts";
import { badRequest } from "./http-problem.ts";
import { replyMessage } from "./reply-message.ts";
import { codeName, freshnessName } from "./wire-names.ts";

/** Paths of AuthZEN 1.0 (permissions §11.2). */
export const AUTHZEN_PATHS = { evaluation: "/access/v1/evaluation", evaluations: "/access/v1/evaluations" } as const;

/** When a batch stops; the code on which it does. */
const SEMANTICS: ReadonlyMap<string, boolean | undefined> = new Map([
  ["execute_all", undefined],
  ["deny_on_first_deny", false],
  ["permit_on_first_permit", true],
]);

/**
 * Answers one evaluation by CheckPermission.
 *
 * @throws HttpProblem 400
 */
export async function answerEvaluation(
  body: JsonObject,
  requestId: string,
  context: CallContext,
  methods: PermissionMethods,
): Promise<JsonObject> {
  const { evaluation, faults } = readEvaluation(body);
  if (faults.length > 0) throw badRequest("evaluation", faults);
  try {
    const { cluster } = evaluation;
    const request = create(CheckPermissionRequestSchema, { ...checkOf(evaluation), cluster, requestId });
    const answer = replyMessage(CheckPermissionResponseSchema, await methods.checkPermission(request, context));
    return decisionOf(answer, answer.meta);
  } catch (error) {
    throw refused(error, "evaluation");
  }
}

/**
 * Answers many evaluations by one BatchCheckPermission, so that all of them rest on one snapshot version. An item that is malformed
 * is denied with its error and spoils no other.
 *
 * @throws HttpProblem 400
 */
export async function answerEvaluations(
  body: JsonObject,
  requestId: string,
  context: CallContext,
  methods: PermissionMethods,
): Promise<JsonObject> {
  const items = body["evaluations"];
  if (items === undefined || (Array.isArray(items) && items.length === 0))
    return answerEvaluation(body, requestId, context, methods);
  if (!Array.isArray(items) || items.length > MAX_BATCH)
    throw badRequest("evaluations", [`evaluations must be an array of at most ${MAX_BATCH} objects`]);
  const stopOn = semanticsOf(body["options"]);
  const answers: JsonObject[] = [];
  const checks = new Map<number, CheckPermissionRequest>();
  const clusters = new Set<string>();
  for (const [at, item] of items.entries()) {
    const { evaluation, faults } = isJsonObject(item)
      ? readEvaluation(item, body)
      : { evaluation: undefined, faults: ["must be an object"] };
    const wrong = evaluation === undefined ? faults : [...faults, ...violationsOf(evaluation)];
    if (evaluation === undefined || wrong.length > 0) {
      answers[at] = { decision: false, context: { error: { status: 400, message: wrong.join("; ") } } };
      continue;
    }
    clusters.add(evaluation.cluster);
    checks.set(at, create(CheckPermissionRequestSchema, checkOf(evaluation)));
  }
  if (clusters.size > 1) throw badRequest("evaluations", ["context.cluster must be the same in every evaluation"]);
  if (checks.size > 0) {
    const request = create(BatchCheckPermissionRequestSchema, {
      cluster: [...clusters][0] ?? "",
      requestId,
      items: [...checks].map(([at, check]) => ({ correlationId: String(at), check })),
    });
    try {
      const reply = await methods.batchCheckPermission(request, context);
      const { results, meta } = replyMessage(BatchCheckPermissionResponseSchema, reply);
      for (const result of results) answers[Number(result.correlationId)] = decisionOf(result, meta);
    } catch (error) {
      throw refused(error, "evaluations");
    }
  }
  const last = stopOn === undefined ? -1 : answers.findIndex(({ decision }) => decision === stopOn);
  return { evaluations: last < 0 ? answers : answers.slice(0, last + 1) };
}

function semanticsOf(options: JsonObject[string]): boolean | undefined {
  if (options === undefined || options === null) return undefined;
  const name = isJsonObject(options) ? (options["evaluations_semantic"] ?? "execute_all") : undefined;
  if (typeof name !== "string" || !SEMANTICS.has(name))
    throw badRequest("evaluations", [`options.evaluations_semantic must be ${[...SEMANTICS.keys()].join(", ")}`]);
  return SEMANTICS.get(name);
}

function checkOf({
  principal,
  groups,
  verb,
  apiGroup,
  resource,
  subresource,
  resourceName,
  namespace,
  path,
}: Evaluation) {
  return { principal, groups: [...groups], verb, apiGroup, resource, subresource, resourceName, namespace, path };
}

/** What the service would refuse of one item: it refuses a batch as a whole. */
function violationsOf(evaluation: Evaluation): readonly string[] {
  const violations = new FieldViolations();
  principalContextOf(evaluation, violations);
  accessRequestOf(evaluation, violations);
  try {
    violations.throwIfAny("evaluation");
    return [];
  } catch (error) {
    if (error instanceof GrpcStatusError)
      return error.violations.map(({ field, description }) => `${field} ${description}`);
    throw error;
  }
}

function refused(error: unknown, object: string): unknown {
  if (error instanceof GrpcStatusError && error.code === Status.INVALID_ARGUMENT)
    return badRequest(
      object,
      error.violations.length > 0 ? error.violations.map((v) => `${v.field} ${v.description}`) : [error.details],
    );
  return error;
}

function decisionOf(
  answer: {
    readonly allowed: boolean;
    readonly code: DecisionCode;
    readonly reason: string;
    readonly conditionalNames: readonly string[];
  },
  meta: ResponseMeta | undefined,
): JsonObject {
  const { allowed, code, reason, conditionalNames } = answer;
  return {
    decision: allowed,
    context: {
      code: codeName(code),
      reason,
      ...(conditionalNames.length > 0 && { conditionalNames: [...conditionalNames] }),
      ...(meta !== undefined && {
        snapshotVersion: meta.snapshotVersion,
        freshness: freshnessName(meta.freshness),
        decisionId: meta.decisionId,
        consistencyToken: meta.consistencyToken,
      }),
    },
  };
}
