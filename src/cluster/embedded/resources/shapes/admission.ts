import type { JsonObject } from "../../../../base/json.ts";
import { conditions, labelSelector, listAtomic, listMap, object, open, or, text, whole } from "./shape.ts";

const rule = {
  operations: listAtomic(text),
  apiGroups: listAtomic(text),
  apiVersions: listAtomic(text),
  resources: listAtomic(text),
  scope: or(text, "*"),
};

const matchConditions = listMap(["name"], object({ name: text, expression: text }));

const webhookMembers: Record<string, JsonObject> = {
  name: text,
  clientConfig: object({
    url: text,
    caBundle: text,
    service: object({ namespace: text, name: text, path: text, port: or(whole, 443) }),
  }),
  rules: listAtomic(object(rule)),
  failurePolicy: or(text, "Fail"),
  matchPolicy: or(text, "Equivalent"),
  namespaceSelector: or(labelSelector, {}),
  objectSelector: or(labelSelector, {}),
  sideEffects: text,
  timeoutSeconds: or(whole, 10),
  admissionReviewVersions: listAtomic(text),
  matchConditions,
};

export const validatingWebhooks = object({
  webhooks: listMap(["name"], object(webhookMembers, { required: ["name"] })),
});

export const mutatingWebhooks = object({
  webhooks: listMap(
    ["name"],
    object({ ...webhookMembers, reinvocationPolicy: or(text, "Never") }, { required: ["name"] }),
  ),
});

const matchResources: Record<string, JsonObject> = {
  matchPolicy: or(text, "Equivalent"),
  namespaceSelector: or(labelSelector, {}),
  objectSelector: or(labelSelector, {}),
  resourceRules: listAtomic(object({ ...rule, resourceNames: listAtomic(text) })),
  excludeResourceRules: listAtomic(object({ ...rule, resourceNames: listAtomic(text) })),
};

export const validatingPolicy = object({
  spec: object({
    failurePolicy: or(text, "Fail"),
    paramKind: { ...object({ apiVersion: text, kind: text }), "x-kubernetes-map-type": "atomic" },
    matchConstraints: object(matchResources),
    matchConditions,
    variables: listMap(["name"], object({ name: text, expression: text })),
    validations: listAtomic(object({ expression: text, message: text, messageExpression: text, reason: text })),
    auditAnnotations: listAtomic(object({ key: text, valueExpression: text })),
  }),
  status: object({ conditions, observedGeneration: whole, typeChecking: open }),
});

export const validatingPolicyBinding = object({
  spec: object({
    policyName: text,
    validationActions: { type: "array", items: text, "x-kubernetes-list-type": "set" },
    paramRef: {
      ...object({ name: text, namespace: text, selector: labelSelector, parameterNotFoundAction: text }),
      "x-kubernetes-map-type": "atomic",
    },
    matchResources: object(matchResources),
  }),
});
