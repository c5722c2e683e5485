import type { LabelSelector } from "../../../../api/builtin.ts";
import type { KubeObject, Unstructured } from "../../../../api/object.ts";
import type { ResourceRule } from "../match-resources.ts";
import type { MatchCondition } from "../policies/policy-shapes.ts";

/** `admissionregistration.k8s.io/v1 ValidatingWebhook`, defaults filled in. */
export interface ValidatingWebhook {
  readonly name: string;
  readonly clientConfig: {
    readonly url?: string;
    readonly service?: {
      readonly namespace: string;
      readonly name: string;
      readonly path?: string;
      readonly port?: number;
    };
    /** Base64 of a PEM bundle. */
    readonly caBundle?: string;
  };
  readonly rules?: readonly ResourceRule[];
  readonly failurePolicy?: "Fail" | "Ignore";
  readonly matchPolicy?: string;
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly timeoutSeconds?: number;
  readonly matchConditions?: readonly MatchCondition[];
}

/** `admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration`. */
export interface WebhookConfigurationObject extends KubeObject {
  readonly webhooks?: readonly ValidatingWebhook[];
}

/** Stored configurations passed the schema of their kind. */
export function asWebhookConfiguration(object: Unstructured): WebhookConfigurationObject {
  return object as unknown as WebhookConfigurationObject;
}
