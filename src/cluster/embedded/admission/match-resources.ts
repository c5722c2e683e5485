import type { LabelSelector } from "../../../api/builtin.ts";
import { collectionId, type ServedResource } from "../resources/served-resource.ts";
import type { ResourceRegistry } from "../resources/registry.ts";
import { matchesLabels } from "../selectors/label-selector.ts";
import { selectorRequirements } from "../selectors/selector-object.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { type AdmissionRequest, labelsOf } from "./admission-request.ts";

/** `admissionregistration.k8s.io/v1 RuleWithOperations`, with the names that policies may add. */
export interface ResourceRule {
  readonly operations?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly resources?: readonly string[];
  readonly scope?: string;
  readonly resourceNames?: readonly string[];
}

/** What a webhook, a policy or a binding applies to. */
export interface MatchResources {
  readonly resourceRules?: readonly ResourceRule[];
  readonly excludeResourceRules?: readonly ResourceRule[];
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly matchPolicy?: string;
}

/** Kinds that configure admission itself: nothing may lock an administrator out of them. */
const EXEMPT = new Set([
  "validatingwebhookconfigurations",
  "mutatingwebhookconfigurations",
  "validatingadmissionpolicies",
  "validatingadmissionpolicybindings",
  "mutatingadmissionpolicies",
  "mutatingadmissionpolicybindings",
]);

export function isExempt({ group, resource }: ServedResource): boolean {
  return group === "admissionregistration.k8s.io" && EXEMPT.has(resource);
}

/** Where rules are looked up. */
export interface MatchContext {
  readonly store: ObjectStore;
  readonly registry: ResourceRegistry;
}

/**
 * The version in which a request is shown to whom it matches, or undefined when it does not. With `matchPolicy: Equivalent` a rule for one
 * version of a resource is also met by requests in another (admissionregistration/v1).
 */
export function matchRequest(
  context: MatchContext,
  request: AdmissionRequest,
  match: MatchResources,
): ServedResource | undefined {
  const { resource } = request;
  if (isExempt(resource)) return undefined;
  const excluded = match.excludeResourceRules ?? [];
  if (excluded.some((rule) => meetsRule(rule, request, resource))) return undefined;
  const candidates =
    match.matchPolicy === "Exact"
      ? [resource]
      : [
          resource,
          ...context.registry.versions(resource.collection).filter((other) => other.version !== resource.version),
        ];
  // A binding without rules is limited by its policy alone.
  const rules = match.resourceRules ?? [];
  const found = candidates.find(
    (version) => rules.length === 0 || rules.some((rule) => meetsRule(rule, request, version)),
  );
  if (!found || !selectsNamespace(context, request, match.namespaceSelector)) return undefined;
  return selectsObject(request, match.objectSelector) ? found : undefined;
}

function meetsRule(rule: ResourceRule, request: AdmissionRequest, version: ServedResource): boolean {
  const names = rule.resourceNames ?? [];
  return (
    includes(rule.operations, request.operation) &&
    includes(rule.apiGroups, version.group) &&
    includes(rule.apiVersions, version.version) &&
    (rule.resources ?? []).some((resource) => meetsResource(resource, version.resource, request.subresource)) &&
    meetsScope(rule.scope ?? "*", version) &&
    (names.length === 0 || names.includes(request.name))
  );
}

function includes(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes("*") || list.includes(value));
}

/** A resource, with a subresource after a slash; `*` for any of either, and a lone `*` for no subresource. */
function meetsResource(rule: string, resource: string, subresource: string): boolean {
  const [wantedResource = "", wantedSubresource = ""] = rule.split("/");
  return (
    (wantedResource === "*" || wantedResource === resource) &&
    (wantedSubresource === "*" || wantedSubresource === subresource)
  );
}

function meetsScope(scope: string, { namespaced }: ServedResource): boolean {
  return scope === "*" || (scope === "Namespaced" ? namespaced : !namespaced);
}

function selectsNamespace(
  context: MatchContext,
  request: AdmissionRequest,
  selector: LabelSelector | undefined,
): boolean {
  const requirements = selectorRequirements(selector ?? {});
  if (requirements.length === 0) return true;
  const { resource, object, oldObject, namespace } = request;
  if (resource.kind === "Namespace" && resource.group === "")
    return matchesLabels(requirements, labelsOf(object ?? oldObject));
  if (!resource.namespaced) return true;
  const found = context.store.collection(collectionId("", "namespaces")).tip(namespace);
  return matchesLabels(requirements, found?.object.metadata.labels);
}

/** The object as it would be or as it is: one of the two is enough, so that a label cannot be taken off to escape. */
function selectsObject({ object, oldObject }: AdmissionRequest, selector: LabelSelector | undefined): boolean {
  const requirements = selectorRequirements(selector ?? {});
  if (requirements.length === 0) return true;
  return [object, oldObject].some((each) => each !== undefined && matchesLabels(requirements, labelsOf(each)));
}
