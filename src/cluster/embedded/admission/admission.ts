import type { AdmissionCel } from "./admission-cel.ts";
import type { AdmissionRequest } from "./admission-request.ts";
import { isExempt } from "./match-resources.ts";
import { PolicyAdmission } from "./policies/policy-admission.ts";
import { WebhookAdmission, type WebhookContext } from "./webhooks/webhook-admission.ts";

/** Validating admission: the last word before a write is stored. */
export interface Admission {
  /**
   * Judges a write. Undefined: admitted, and no time has passed. A promise: others are asked; when it resolves the write is admitted, but what
   * it was built on may have changed meanwhile. Refusals are thrown or reject as ApiStatusError.
   */
  ask(request: AdmissionRequest, onWarning: ((warning: string) => void) | undefined): Promise<void> | undefined;
}

/** What the cluster's own controllers write is not judged: a policy must not keep a namespace from going away. */
export const NO_ADMISSION: Admission = { ask: () => undefined };

/** Admission by the ValidatingAdmissionPolicies and ValidatingWebhookConfigurations that are stored. */
export function storedAdmission(context: WebhookContext, cel: AdmissionCel): Admission {
  const policies = new PolicyAdmission(context, cel);
  const webhooks = new WebhookAdmission(context, cel);
  return {
    ask: (request, onWarning = () => undefined) => {
      if (isExempt(request.resource)) return undefined;
      policies.judge(request, onWarning);
      return webhooks.ask(request, onWarning);
    },
  };
}
