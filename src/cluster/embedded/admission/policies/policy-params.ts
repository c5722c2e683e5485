import type { Unstructured } from "../../../../api/object.ts";
import { parseApiVersion } from "../../../../api/resource-type.ts";
import { inVersion } from "../../resources/served-resource.ts";
import { matchesLabels } from "../../selectors/label-selector.ts";
import { selectorRequirements } from "../../selectors/selector-object.ts";
import { storageKey } from "../../store/collection.ts";
import type { AdmissionRequest } from "../admission-request.ts";
import type { MatchContext } from "../match-resources.ts";
import type { PolicyBindingObject, PolicyObject } from "./policy-shapes.ts";

/**
 * Objects a policy is evaluated with under a binding, `undefined` standing for "without parameters"; an empty list means that the binding does
 * not apply. @throws Error for parameters that cannot be found
 */
export function paramsOf(
  { registry, store }: MatchContext,
  policy: PolicyObject,
  binding: PolicyBindingObject,
  request: AdmissionRequest,
): readonly (Unstructured | undefined)[] {
  const { paramKind } = policy.spec;
  const { paramRef } = binding.spec;
  if (!paramKind || !paramRef) return [undefined];
  const { group, version } = parseApiVersion(paramKind.apiVersion);
  const served = registry.byKind(group, paramKind.kind, version);
  if (!served || served.version !== version) {
    throw new Error(
      `failed to find resource referenced by paramKind: '${paramKind.apiVersion}, Kind=${paramKind.kind}'`,
    );
  }
  let namespace: string | undefined;
  if (served.namespaced) {
    namespace = paramRef.namespace ?? request.namespace;
    if (!namespace) {
      throw new Error("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources");
    }
  } else if (paramRef.namespace) {
    throw new Error("paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
  }
  const collection = store.collection(served.collection);
  const found: Unstructured[] = [];
  if (paramRef.selector) {
    const requirements = selectorRequirements(paramRef.selector);
    for (const [, { object }] of collection.entries(namespace)) {
      if (matchesLabels(requirements, object.metadata.labels)) found.push(inVersion(served, object));
    }
  } else {
    const entry = collection.get(storageKey(namespace, paramRef.name ?? ""));
    if (entry) found.push(inVersion(served, entry.object));
  }
  if (found.length > 0 || paramRef.parameterNotFoundAction === "Allow") return found;
  throw new Error("no params found for policy binding with `Deny` parameterNotFoundAction");
}
