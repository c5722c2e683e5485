import type { IdentityBinding } from "../../src/api/kinds/identity-binding.ts";
import type { RBACProfile } from "../../src/api/kinds/rbac-profile.ts";
import { PERMISSION_LAYERS, TENANT_CONDUCTOR, clusterOfNamespace, isClusterName } from "../../src/api/names.ts";
import { RuleBudgetExceeded } from "../../src/permissions/algebra/budget.ts";
import { allowedClusters, clusterName, namespaceAllows } from "../../src/permissions/builder/applicable-clusters.ts";
import { boundSubjects } from "../../src/permissions/builder/bound-subjects.ts";
import { RuleMemo, type SharedRuleSet } from "../../src/permissions/builder/rule-memo.ts";
import { FLEET_CEILING, ceilingChain, isClusterMaximum } from "../../src/permissions/ceilings/ceiling-chain.ts";
import type { PermissionWorld } from "../../src/governance/engine/permission-world.ts";
import { parseServiceAccountUser, principalRefOf, subjectOfPrincipal } from "../../src/permissions/rules/principal.ts";
import {
  type SnapshotBinding,
  type SnapshotContent,
  type SnapshotSubject,
  bindingSortKey,
  encodeContent,
  subjectSortKey,
} from "../../src/permissions/snapshot/content.ts";
import { validateIdentityBinding } from "../../src/permissions/validation/validate-identity-binding.ts";
import { validateIdentityProvider } from "../../src/permissions/validation/validate-identity-provider.ts";
import { isUsableSet, validatePermissionSet } from "../../src/permissions/validation/validate-permission-set.ts";
import { validateRbacPolicy } from "../../src/permissions/validation/validate-rbac-policy.ts";
import { type ProfileVerdict, validateRbacProfile } from "../../src/permissions/validation/validate-rbac-profile.ts";
import type { Verdict } from "../../src/permissions/validation/verdict.ts";

/** What people and tenants see of a world. */
export interface NaiveOutcome {
  /** `Reason: message` by `namespace/name`. */
  readonly sets: Readonly<Record<string, string>>;
  readonly policies: Readonly<Record<string, string>>;
  readonly profiles: Readonly<Record<string, string>>;
  readonly providers: Readonly<Record<string, string>>;
  readonly bindings: Readonly<Record<string, string>>;
  /** Content hash by cluster. */
  readonly snapshots: Readonly<Record<string, string>>;
}

interface Named {
  readonly metadata: { readonly namespace?: string; readonly name: string; readonly deletionTimestamp?: string };
}

const keyed = <T extends Named>(list: readonly T[]): ReadonlyMap<string, T> =>
  new Map(
    list
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map((object) => [`${object.metadata.namespace ?? ""}/${object.metadata.name}`, object]),
  );
const said = ({ reason, message }: Verdict): string => `${reason}: ${message}`;
const told = ({ compliance, ...verdict }: ProfileVerdict): string =>
  `${said(verdict)} | ${compliance === undefined ? "" : `${compliance.reason}: ${compliance.message}`}`;
const sorted = <T>(list: Iterable<T>, key: (entry: T) => string): readonly T[] =>
  [...list].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));

/**
 * The effective permission graph written straight from permissions §4, §7.3 and §8.2: everything from nothing, by loops over all objects,
 * as one object tree per cluster. It shares the checks of single objects and the rule algebra with the engine, and neither the graph of
 * who rests on whom nor the texts that contents are put together of.
 */
export function naiveOutcome(world: PermissionWorld): NaiveOutcome {
  const memo = new RuleMemo();
  const { managementCluster } = world;
  const registry = { registered: new Set(world.clusters.map(({ metadata }) => metadata.name)), managementCluster };
  const [sets, policies, profiles] = [keyed(world.sets), keyed(world.policies), keyed(world.profiles)];
  const [providers, bindings] = [keyed(world.providers), keyed(world.bindings)];
  const fleet = sets.get(`${FLEET_CEILING.namespace}/${FLEET_CEILING.name}`)?.spec.permissions;

  const setVerdict = (key: string): Verdict | undefined => {
    const set = sets.get(key);
    return set && validatePermissionSet(set, isClusterMaximum(set.metadata) ? fleet : undefined);
  };
  const rulesOf = (key: string): SharedRuleSet => memo.ofRules(sets.get(key)?.spec.permissions ?? []);
  const usable = (key: string): SharedRuleSet | undefined => {
    const verdict = setVerdict(key);
    return verdict !== undefined && isUsableSet(verdict) ? rulesOf(key) : undefined;
  };
  const judgePolicy = (key: string) => {
    const object = policies.get(key);
    if (object === undefined) return undefined;
    const chain = ceilingChain(object).map((ref) => ({ ref, key: `${ref.namespace}/${ref.name}` }));
    const verdict = validateRbacPolicy(
      object,
      chain.map((each) => ({ ref: each.ref, verdict: setVerdict(each.key) })),
    );
    let ceiling: SharedRuleSet | undefined;
    try {
      if (verdict.ok) ceiling = chain.map((each) => rulesOf(each.key)).reduce((a, b) => memo.intersection(a, b));
    } catch (error) {
      if (!(error instanceof RuleBudgetExceeded)) throw error;
    }
    return { object, verdict, ceiling, allowed: allowedClusters(object, registry) };
  };
  const judgeProvider = (key: string) => {
    const object = providers.get(key);
    return object && { object, verdict: validateIdentityProvider(object) };
  };
  const judgeBinding = (object: IdentityBinding): Verdict => {
    const { namespace = "" } = object.metadata;
    const principalKnown = [...profiles.values()].some(
      ({ metadata, spec }) => metadata.namespace === namespace && spec.principalRef === object.spec.principalName,
    );
    const provider = judgeProvider(`${namespace}/${object.spec.identityProviderRef ?? ""}`);
    return validateIdentityBinding(object, { provider, principalKnown });
  };
  const claims = ({ metadata, spec }: RBACProfile): boolean =>
    spec.principalRef !== "" &&
    clusterOfNamespace(metadata.namespace) !== undefined &&
    !(spec.principalRef === TENANT_CONDUCTOR.principal && metadata.name === TENANT_CONDUCTOR.profile) &&
    parseServiceAccountUser(spec.principalRef) === undefined;
  const claimedBy = (profile: RBACProfile): string | undefined => {
    if (!claims(profile)) return undefined;
    const rivals = [...profiles].filter(
      ([, other]) => claims(other) && other.spec.principalRef === profile.spec.principalRef,
    );
    const [first] = sorted(rivals, ([key, { metadata }]) => `${metadata.creationTimestamp ?? ""}\0${key}`);
    return first?.[1].metadata.namespace === profile.metadata.namespace ? undefined : first?.[0];
  };
  const judgeProfile = (object: RBACProfile): ProfileVerdict => {
    const { namespace = "" } = object.metadata;
    return validateRbacProfile(object, {
      policy: judgePolicy(`${namespace}/${object.spec.rbacPolicyRef ?? ""}`),
      permissionSet: (name) => {
        const verdict = setVerdict(`${namespace}/${name}`);
        return verdict && { verdict, rules: rulesOf(`${namespace}/${name}`) };
      },
      claimedBy: claimedBy(object),
      clusters: registry,
      memo,
    });
  };
  const identitiesOf = ({ metadata, spec }: RBACProfile) =>
    [...bindings.values()]
      .filter((each) => each.metadata.namespace === metadata.namespace && each.spec.principalName === spec.principalRef)
      .filter((each) => judgeBinding(each).ok)
      .flatMap((each) => boundSubjects(each));

  const judged = [...profiles.values()].map((profile) => ({ profile, verdict: judgeProfile(profile) }));
  const contentOf = (cluster: string): SnapshotContent => {
    const ceilings = {
      fleet: usable(`${FLEET_CEILING.namespace}/${FLEET_CEILING.name}`),
      cluster: usable(`seam-tenant-${cluster}/${PERMISSION_LAYERS.cluster.maximum}`),
    };
    const ruleSets = new Map<string, SharedRuleSet>();
    const subjects = new Map<string, { subject: Omit<SnapshotSubject, "bindings">; bindings: SnapshotBinding[] }>();
    const records: SnapshotContent["profiles"][number][] = [];
    const suspended = new Set<string>();
    for (const ceiling of [ceilings.fleet, ceilings.cluster])
      if (ceiling !== undefined) ruleSets.set(ceiling.id, ceiling);
    for (const { profile, verdict } of judged) {
      const { namespace = "", name, generation = 0 } = profile.metadata;
      const { principalRef, targetClusters, suspend, permissionDeclarations, rbacPolicyRef } = profile.spec;
      const aims = targetClusters.some((written) => clusterName(written, registry) === cluster);
      if (!aims || !namespaceAllows(namespace, cluster)) continue;
      records.push({ namespace, name, principalRef, generation, provisioned: verdict.ok });
      const identities = identitiesOf(profile);
      if (suspend === true && principalRef !== "")
        for (const who of [principalRef, ...identities.filter(({ kind }) => kind !== "Group").map(principalRefOf)])
          suspended.add(who);
      const policy = judgePolicy(`${namespace}/${rbacPolicyRef ?? ""}`);
      if (!verdict.ok || policy?.ceiling === undefined || !allowedClusters(policy.object, registry).has(cluster))
        continue;
      for (const [
        declaration,
        { permissionSetRef, scope, clusters = [], namespaces = [], expiresAt = "" },
      ] of permissionDeclarations.entries()) {
        if (clusters.length > 0 && !clusters.some((written) => clusterName(written, registry) === cluster)) continue;
        const ruleSet = memo.intersection(rulesOf(`${namespace}/${permissionSetRef}`), policy.ceiling);
        if (ruleSet.rules.length === 0) continue;
        ruleSets.set(ruleSet.id, ruleSet);
        const source = {
          profileNamespace: namespace,
          profileName: name,
          declaration,
          permissionSet: permissionSetRef,
          policy: policy.object.metadata.name,
        };
        const own = [...new Set(namespaces)].sort();
        const binding = { ruleSet: ruleSet.id, scope, namespaces: own, expiresAt, source };
        const names = new Map(
          [subjectOfPrincipal(principalRef), ...identities].map((each) => [subjectSortKey(each), each]),
        );
        for (const [key, { kind, namespace: home, name: called }] of names) {
          const subject = { kind, namespace: home, name: called, principalRef };
          const held = subjects.get(key);
          if (held === undefined) subjects.set(key, { subject, bindings: [binding] });
          else {
            held.bindings.push(binding);
            if (principalRef < held.subject.principalRef) held.subject = subject;
          }
        }
      }
    }
    const { fleet: fleetSet, cluster: clusterSet } = ceilings;
    return {
      schemaVersion: 2,
      targetCluster: cluster,
      ceilings: { ...(fleetSet && { fleet: fleetSet.id }), ...(clusterSet && { cluster: clusterSet.id }) },
      ruleSets: sorted(ruleSets.values(), ({ id }) => id),
      subjects: sorted(subjects.values(), ({ subject }) => subjectSortKey(subject)).map(
        ({ subject: { kind, namespace, name, principalRef }, bindings: own }) => ({
          kind,
          namespace,
          name,
          principalRef,
          bindings: sorted(own, bindingSortKey),
        }),
      ),
      profiles: sorted(records, ({ namespace, name }) => `${namespace}\0${name}`),
      suspendedPrincipals: [...suspended].sort(),
      freshnessWindowSeconds: 300,
      maxOfflineSeconds: 86_400,
    };
  };
  const tenants = world.clusters
    .filter(({ metadata, spec }) => spec.role !== "management" && metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.name)
    .filter(isClusterName);
  const each = <T>(map: ReadonlyMap<string, T>, text: (key: string, object: T) => string) =>
    Object.fromEntries([...map].map(([key, object]) => [key, text(key, object)]));
  return {
    sets: each(sets, (key) => said(setVerdict(key) ?? unreachable(key))),
    policies: each(policies, (key) => said(judgePolicy(key)?.verdict ?? unreachable(key))),
    profiles: each(profiles, (_, profile) => told(judgeProfile(profile))),
    providers: each(providers, (_, provider) => said(validateIdentityProvider(provider))),
    bindings: each(bindings, (_, binding) => said(judgeBinding(binding))),
    snapshots: Object.fromEntries(tenants.map((name) => [name, encodeContent(contentOf(name)).contentHash])),
  };
}

function unreachable(key: string): never {
  throw new Error(`${key} was there a moment ago`);
}
