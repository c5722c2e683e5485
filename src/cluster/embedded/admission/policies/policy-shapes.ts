import type { KubeObject, Unstructured } from "../../../../api/object.ts";
import type { LabelSelector } from "../../../../api/builtin.ts";
import type { MatchResources } from "../match-resources.ts";

/** `admissionregistration.k8s.io/v1 MatchCondition`. */
export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

/** One check of a policy. */
export interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
}

/** `admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy`. */
export interface PolicyObject extends KubeObject {
  readonly spec: {
    readonly failurePolicy?: "Fail" | "Ignore";
    readonly paramKind?: { readonly apiVersion: string; readonly kind: string };
    readonly matchConstraints?: MatchResources;
    readonly matchConditions?: readonly MatchCondition[];
    readonly variables?: readonly { readonly name: string; readonly expression: string }[];
    readonly validations?: readonly Validation[];
  };
}

/** `admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding`. */
export interface PolicyBindingObject extends KubeObject {
  readonly spec: {
    readonly policyName: string;
    readonly validationActions: readonly ("Deny" | "Warn" | "Audit")[];
    readonly paramRef?: {
      readonly name?: string;
      readonly namespace?: string;
      readonly selector?: LabelSelector;
      readonly parameterNotFoundAction?: "Allow" | "Deny";
    };
    readonly matchResources?: MatchResources;
  };
}

/** Stored policies passed the schema of their kind. */
export function asPolicy(object: Unstructured): PolicyObject {
  return object as unknown as PolicyObject;
}

/** Stored bindings passed the schema of their kind. */
export function asPolicyBinding(object: Unstructured): PolicyBindingObject {
  return object as unknown as PolicyBindingObject;
}
