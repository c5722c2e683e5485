import { errorMessage } from "../../../../base/errors.ts";
import { ApiStatusError, type StatusReason } from "../../../api-status-error.ts";
import type { Json } from "../../json/mutable-json.ts";
import { collectionId } from "../../resources/served-resource.ts";
import { forbidden } from "../../status-errors.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { type AdmissionCel, celOf } from "../admission-cel.ts";
import type { AdmissionRequest } from "../admission-request.ts";
import { type MatchContext, matchRequest } from "../match-resources.ts";
import { requestBindings } from "../request-bindings.ts";
import { evaluatePolicy, type Refusal } from "./evaluate-policy.ts";
import { paramsOf } from "./policy-params.ts";
import { asPolicy, asPolicyBinding, type PolicyBindingObject, type PolicyObject } from "./policy-shapes.ts";

const GROUP = "admissionregistration.k8s.io";
const POLICIES = collectionId(GROUP, "validatingadmissionpolicies");
const BINDINGS = collectionId(GROUP, "validatingadmissionpolicybindings");

/** Codes of the reasons a policy may give (`reasonToCode`). */
const CODES: Readonly<Partial<Record<string, { readonly code: number; readonly reason: StatusReason }>>> = {
  Unauthorized: { code: 401, reason: "Unauthorized" },
  Forbidden: { code: 403, reason: "Forbidden" },
  RequestEntityTooLarge: { code: 413, reason: "RequestEntityTooLarge" },
};

interface Bound {
  readonly policy: PolicyObject;
  readonly binding: PolicyBindingObject;
}

/** Judges writes by the stored ValidatingAdmissionPolicies: those with a binding. */
export class PolicyAdmission {
  readonly #context: MatchContext;
  readonly #cel: AdmissionCel;
  #bound: readonly Bound[] | undefined;

  constructor(context: MatchContext, cel: AdmissionCel) {
    this.#context = context;
    this.#cel = cel;
    context.store.subscribe((events) => {
      if (events.some((event) => event.collection === POLICIES || event.collection === BINDINGS))
        this.#bound = undefined;
    });
  }

  /** @throws ApiStatusError with the reason of the first check that refuses, 422 by default */
  judge(request: AdmissionRequest, onWarning: (warning: string) => void): void {
    this.#bound ??= boundPolicies(this.#context.store);
    for (const { policy, binding } of this.#bound) {
      const who = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
      for (const refusal of this.#refusals(policy, binding, request)) {
        if (binding.spec.validationActions.includes("Warn")) {
          onWarning(`Validation failed for ${who}: ${refusal.message}`);
        }
        if (binding.spec.validationActions.includes("Deny")) {
          throw denial(request, `${who} denied request: ${refusal.message}`, refusal.reason);
        }
      }
    }
  }

  #refusals(policy: PolicyObject, binding: PolicyBindingObject, request: AdmissionRequest): readonly Refusal[] {
    const matched = matchRequest(this.#context, request, policy.spec.matchConstraints ?? {});
    if (!matched || !matchRequest(this.#context, request, binding.spec.matchResources ?? {})) return [];
    try {
      const bindings = requestBindings(this.#context, request, matched);
      return paramsOf(this.#context, policy, binding, request).flatMap((params) =>
        evaluatePolicy(this.#cel, policy, { ...bindings, params: celOf(params as unknown as Json | undefined) }),
      );
    } catch (error) {
      if (policy.spec.failurePolicy === "Ignore") return [];
      return [{ message: `failed to configure binding: ${errorMessage(error)}`, reason: "Invalid" }];
    }
  }
}

function boundPolicies(store: ObjectStore): readonly Bound[] {
  const policies = store.collection(POLICIES);
  const bound: Bound[] = [];
  for (const [, { object }] of store.collection(BINDINGS).entries()) {
    const binding = asPolicyBinding(object);
    const policy = policies.get(binding.spec.policyName);
    if (policy) bound.push({ policy: asPolicy(policy.object), binding });
  }
  return bound;
}

function denial(request: AdmissionRequest, message: string, reason: string): ApiStatusError {
  const { message: text, details } = forbidden(request.resource, request.name, message);
  const known = CODES[reason] ?? { code: 422, reason: "Invalid" as const };
  return new ApiStatusError(known.code, known.reason, text, { ...details, causes: [{ message }] });
}
