import { ceilingChain } from "../../permissions/ceilings/ceiling-chain.ts";
import { applicableClusters } from "../../permissions/builder/applicable-clusters.ts";
import { boundSubjects } from "../../permissions/builder/bound-subjects.ts";
import type { DeclaredGrant, NamedCeiling } from "../../permissions/decision/trimmed-grants.ts";
import { type SubjectName, subjectOfPrincipal } from "../../permissions/rules/principal.ts";
import type { JudgedProfile, PermissionView } from "../engine/permission-view.ts";

/**
 * What the provisioned profiles on a cluster declare before their ceilings, for explanations: who looks at a denied request learns that a
 * ceiling took what a set says.
 */
export function* declaredGrants(view: PermissionView, cluster: string): Generator<DeclaredGrant> {
  for (const profile of view.profilesOn(cluster)) if (profile.verdict.ok) yield* grantsOf(view, profile, cluster);
}

function* grantsOf(view: PermissionView, { object }: JudgedProfile, cluster: string): Generator<DeclaredGrant> {
  const { metadata, spec } = object;
  const { namespace = "", name: profileName } = metadata;
  const { principalRef, permissionDeclarations, rbacPolicyRef = "" } = spec;
  const policy = view.policies.get({ namespace, name: rbacPolicyRef })?.object;
  if (policy === undefined) return;
  const ceilings: NamedCeiling[] = ceilingChain(policy).map((ref) => ({
    name: `${ref.namespace}/${ref.name}`,
    rules: view.sets.get(ref)?.rules.rules ?? [],
  }));
  const subjects = [subjectOfPrincipal(principalRef), ...identitiesOf(view, namespace, principalRef)];
  for (const [declaration, declared] of permissionDeclarations.entries()) {
    const alone = { ...object, spec: { ...spec, permissionDeclarations: [declared] } };
    if (!applicableClusters(alone, policy, view.registry).includes(cluster)) continue;
    const set = view.sets.get({ namespace, name: declared.permissionSetRef });
    if (set === undefined) continue;
    yield {
      subjects,
      principalRef,
      declared: set.rules,
      ceilings,
      binding: {
        ruleSet: set.rules.id,
        scope: declared.scope,
        namespaces: declared.namespaces ?? [],
        expiresAt: declared.expiresAt ?? "",
        source: {
          profileNamespace: namespace,
          profileName,
          declaration,
          permissionSet: declared.permissionSetRef,
          policy: rbacPolicyRef,
        },
      },
    };
  }
}

function* identitiesOf(view: PermissionView, namespace: string, principal: string): Generator<SubjectName> {
  for (const { object, verdict } of view.bindings.values())
    if (verdict.ok && object.metadata.namespace === namespace && object.spec.principalName === principal)
      yield* boundSubjects(object);
}
