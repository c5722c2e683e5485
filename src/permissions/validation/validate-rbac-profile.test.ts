import { describe, expect, it } from "vitest";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy, RBACPolicySpec } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile, RBACProfileSpec } from "../../api/kinds/rbac-profile.ts";
import { isUsableSet, validatePermissionSet } from "./validate-permission-set.ts";
import { validateRbacPolicy } from "./validate-rbac-policy.ts";
import { validateRbacProfile } from "./validate-rbac-profile.ts";
import { ceilingChain } from "../ceilings/ceiling-chain.ts";
import { allowedClusters } from "../builder/applicable-clusters.ts";
import { RuleMemo } from "../builder/rule-memo.ts";
import { type Verdict, passed, refused, summaryText } from "./verdict.ts";

const NAMESPACE = "seam-tenant-c1";
const memo = new RuleMemo();
const clusters = { registered: new Set(["m", "c1", "c2"]), managementCluster: "m" };

function set(name: string, rules: PermissionSet["spec"]["permissions"]): PermissionSet {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "PermissionSet",
    metadata: { name, namespace: NAMESPACE },
    spec: { permissions: rules },
  };
}

const SETS: Readonly<Record<string, PermissionSet>> = {
  reader: set("reader", [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]),
  urls: set("urls", [{ nonResourceURLs: ["/healthz"], verbs: ["get"] }]),
  all: set("all", [
    { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
    { nonResourceURLs: ["*"], verbs: ["*"] },
  ]),
  "cluster-maximum": set("cluster-maximum", [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]),
  broken: set("broken", [{ apiGroups: [""], resources: ["pods"], verbs: [] }]),
  wide: set(
    "wide",
    Array.from({ length: 5_000 }, (_, i) => ({ apiGroups: [""], resources: [`r${i}`], verbs: ["get"] })),
  ),
};

function policy(spec: Partial<RBACPolicySpec> = {}): RBACPolicy {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "RBACPolicy",
    metadata: { name: "cluster-policy", namespace: NAMESPACE },
    spec: {
      subjectScope: "tenant",
      allowedClusters: ["c1"],
      maximumPermissionSetRef: "all",
      enforcementMode: "strict",
      ...spec,
    },
  };
}

function ceilings(verdict: Verdict | undefined) {
  return [{ ref: { namespace: NAMESPACE, name: "reader", field: "spec.maximumPermissionSetRef" }, verdict }];
}

function judge(
  spec: Partial<RBACProfileSpec>,
  rule: RBACPolicy | "none" = policy(),
  claimedBy?: string,
  namespace = NAMESPACE,
) {
  const profile: RBACProfile = {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "RBACProfile",
    metadata: { name: "web", namespace },
    spec: {
      principalRef: "web",
      targetClusters: ["c1"],
      permissionDeclarations: [{ permissionSetRef: "reader", scope: "cluster" }],
      rbacPolicyRef: "cluster-policy",
      ...spec,
    },
  };
  const maximum = SETS[rule === "none" ? "reader" : rule.spec.maximumPermissionSetRef] ?? set("", []);
  const verdict = rule === "none" ? passed("", "") : validateRbacPolicy(rule, ceilings(validatePermissionSet(maximum)));
  return validateRbacProfile(profile, {
    policy:
      rule === "none"
        ? undefined
        : {
            object: rule,
            verdict,
            ceiling: memo.ofRules(maximum.spec.permissions),
            allowed: allowedClusters(rule, clusters),
          },
    claimedBy,
    memo,
    permissionSet: (name) => {
      const object = SETS[name];
      // The budget of a set is not what this step looks at.
      if (object === undefined) return undefined;
      const verdict = name === "wide" ? passed("Valid", "") : validatePermissionSet(object);
      return { rules: memo.ofRules(object.spec.permissions), verdict };
    },
    clusters,
  });
}

const declare = (permissionSetRef: string, scope: "cluster" | "namespaced" = "cluster") => ({
  permissionDeclarations: [{ permissionSetRef, scope }],
});

describe("validateRbacProfile", () => {
  it.each<readonly [string, Partial<RBACProfileSpec>, string]>([
    ["sets exist", declare("gone"), "PermissionSetMissing"],
    ["sets are valid", declare("broken"), "PermissionSetInvalid"],
    ["no URL rules in namespaces", declare("urls", "namespaced"), "ProvisioningFailed"],
    ["URL rules cluster-wide", declare("urls"), "ProvisioningComplete"],
    ["clusters the policy allows", { targetClusters: ["c1", "c2"] }, "PolicyViolation"],
    ["subject scope", { principalRef: "system:serviceaccount:seam-system:guardian" }, "PolicyViolation"],
    [
      "third-party service accounts are tenants",
      { principalRef: "system:serviceaccount:cert-manager:x" },
      "ProvisioningComplete",
    ],
    ["rule budget", declare("wide"), "EffectiveRuleBudgetExceeded"],
    ["suspension", { suspend: true }, "Suspended"],
    ["all of it", {}, "ProvisioningComplete"],
  ])("%s", (_name, spec, reason) => {
    const verdict = judge(spec);
    expect([verdict.reason, verdict.ok]).toEqual([reason, reason === "ProvisioningComplete"]);
  });

  it("reports every broken field of the first step together", () => {
    const verdict = judge({
      principalRef: " ",
      targetClusters: [],
      rbacPolicyRef: "",
      permissionDeclarations: [{ permissionSetRef: "", scope: "cluster", namespaces: ["a"], expiresAt: "soon" }],
    });
    expect(verdict).toMatchObject({ ok: false, reason: "ProvisioningFailed", wellFormed: false });
    expect(verdict.failed.map(({ check }) => check)).toEqual([
      "PrincipalRefNotEmpty",
      "TargetClustersNotEmpty",
      "PolicyRefNotEmpty",
      "PermissionSetRefNotEmpty[0]",
      "NamespacesWithClusterScope[0]",
      "ExpiresAtValid[0]",
    ]);
    expect(verdict.message).toContain(
      `NamespacesWithClusterScope[0]: RBACProfile ${NAMESPACE}/web: spec.permissionDeclarations[0].namespaces: none with scope cluster, found 1; set scope: namespaced or remove the namespaces`,
    );
    expect(summaryText(verdict)).toBe("Validation failed: 6 check(s) failed.");
  });

  it("nothing is granted from a namespace that is neither the fleet's nor a tenant's, nor under a second policy of a tenant", () => {
    const stray = judge({}, policy(), undefined, "default");
    expect(stray).toMatchObject({ ok: false, reason: "ProvisioningFailed", wellFormed: false });
    expect(stray.message).toBe(
      "PlacementValid: RBACProfile default/web: metadata.namespace: seam-system or seam-tenant-{cluster}, found default; create the profile there; nothing is granted from another namespace",
    );
    const placed = (namespace: string, name = "cluster-policy") =>
      validateRbacPolicy({ ...policy(), metadata: { name, namespace } }, ceilings(passed("Valid", ""))).message;
    expect(placed("default")).toContain("PlacementValid: RBACPolicy default/cluster-policy: metadata.namespace");
    // A name too long for a cluster makes no tenant, and so no place without bounds.
    expect(placed(`seam-tenant-${"c".repeat(41)}`)).toContain("PlacementValid");
    expect(placed(NAMESPACE, "web-policy")).toBe(
      `PlacementValid: RBACPolicy ${NAMESPACE}/web-policy: metadata.name: cluster-policy, the one policy of a tenant (there is none per component), found web-policy; name cluster-policy in the profiles and narrow their PermissionSets`,
    );
    expect(placed("seam-system", "hello")).toBe("ceiling reader");
  });

  it("waits for its policy, by name", () => {
    const profile = judge({ rbacPolicyRef: "other" }, "none");
    expect(profile.reason).toBe("PolicyNotFound");
    expect(judge({}, policy({ maximumPermissionSetRef: "" })).reason).toBe("PolicyNotReady");
  });

  it("trims clusters under an audit policy and says which", () => {
    const verdict = judge({ targetClusters: ["c1", "c2"] }, policy({ enforcementMode: "audit" }));
    expect(verdict).toMatchObject({
      ok: true,
      compliance: { ok: true, reason: "TrimmedInAudit", message: "not granted on c2" },
    });
  });
});

describe("validateRbacPolicy", () => {
  it("checks itself, then its ceiling", () => {
    const broken = policy({ allowedClusters: ["c 1", "*"], maximumPermissionSetRef: "" });
    expect(validateRbacPolicy(broken, [])).toMatchObject({
      reason: "ValidationFailed",
      failed: [{ check: "AllowedClustersFormat" }, { check: "MaxPermissionSetRefNotEmpty" }],
    });
    expect(validateRbacPolicy(policy(), ceilings(undefined)).reason).toBe("PermissionSetNotFound");
    expect(validateRbacPolicy(policy(), ceilings(refused("Invalid", []))).reason).toBe("CeilingInvalid");
    expect(validateRbacPolicy(policy(), ceilings(refused("CeilingExceeded", []))).ok).toBe(true);
    expect(validateRbacPolicy(policy(), ceilings(passed("Valid", "")))).toMatchObject({
      ok: true,
      reason: "ValidationPassed",
    });
  });

  it("tells every missing ceiling, its own and those of the layers", () => {
    const chain = ceilingChain(policy()).map((ref) => ({ ref, verdict: undefined }));
    const { failed } = validateRbacPolicy(policy(), chain);
    expect(failed.map(({ field, expected }) => [field, expected])).toEqual([
      ["spec.maximumPermissionSetRef", "PermissionSet seam-tenant-c1/all exists, found none"],
      ["cluster layer", "PermissionSet seam-tenant-c1/cluster-maximum exists, found none"],
      ["fleet layer", "PermissionSet seam-system/management-maximum exists, found none"],
    ]);
  });
});

describe("W7: declared rules against the ceiling", () => {
  const tight = { maximumPermissionSetRef: "reader" };

  it("strict refuses, naming rule and set", () => {
    const verdict = judge(declare("all"), policy(tight));
    expect(verdict).toMatchObject({ ok: false, reason: "PolicyViolation", compliance: { ok: false } });
    expect(verdict.message).toBe(
      `RulesCovered[0]: RBACProfile ${NAMESPACE}/web: spec.permissionDeclarations[0].permissionSetRef: rules within the ceiling of RBACPolicy cluster-policy, found beyond it in PermissionSet all: * * in *, * *; remove them from the set or declare another one`,
    );
  });

  it("audit provisions, and says what is not granted", () => {
    const audit = policy({ ...tight, enforcementMode: "audit" });
    expect(judge(declare("all"), audit)).toMatchObject({
      ok: true,
      compliance: { ok: true, reason: "TrimmedInAudit", message: "not granted all: * * in *, all: * *" },
    });
    expect(judge(declare("urls"), audit).compliance?.message).toBe(
      "not granted urls: get /healthz; DeclarationFullyTrimmed: spec.permissionDeclarations[0] grants nothing under the ceiling",
    );
  });

  it("tells violations of clusters, scope and rules together", () => {
    const { failed } = judge(
      { ...declare("all"), targetClusters: ["c2"], principalRef: "system:serviceaccount:ont-system:x" },
      policy(tight),
    );
    expect(failed.map(({ check }) => check)).toEqual(["SubjectScopeMatches", "ClusterAllowed[0]", "RulesCovered[0]"]);
  });

  it("a profile that declares the ceiling itself is told so", () => {
    expect(
      judge(declare("cluster-maximum"), policy({ maximumPermissionSetRef: "cluster-maximum" })).compliance,
    ).toEqual({
      ok: true,
      reason: "Compliant",
      message: "within RBACPolicy cluster-policy; declares the full ceiling",
    });
  });

  it("a principal of another tenant is not taken over", () => {
    const verdict = judge({ principalRef: "ada" }, policy(), "seam-tenant-c2/ada");
    expect([verdict.ok, verdict.reason]).toEqual([false, "PrincipalConflict"]);
    expect(verdict.message).toContain("found ada in RBACProfile seam-tenant-c2/ada");
  });

  it("cluster-maximum beyond the fleet's ceiling is told, and stays usable", () => {
    const fleet = [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }];
    const verdict = validatePermissionSet(set("cluster-maximum", [{ ...fleet[0], verbs: ["get", "delete"] }]), fleet);
    expect(verdict).toMatchObject({ ok: false, reason: "CeilingExceeded" });
    expect(verdict.message).toContain('found beyond it: delete pods in ""');
    expect(isUsableSet(verdict)).toBe(true);
    expect(validatePermissionSet(set("cluster-maximum", fleet), fleet).ok).toBe(true);
  });
});
