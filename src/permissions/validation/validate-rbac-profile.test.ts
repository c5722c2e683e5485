import { describe, expect, it } from "vitest";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy, RBACPolicySpec } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile, RBACProfileSpec } from "../../api/kinds/rbac-profile.ts";
import { validatePermissionSet } from "./validate-permission-set.ts";
import { validateRbacPolicy } from "./validate-rbac-policy.ts";
import { validateRbacProfile } from "./validate-rbac-profile.ts";
import { passed, refused, summaryText } from "./verdict.ts";

const NAMESPACE = "seam-tenant-c1";
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
      maximumPermissionSetRef: "reader",
      enforcementMode: "strict",
      ...spec,
    },
  };
}

function judge(spec: Partial<RBACProfileSpec>, rule: RBACPolicy | "none" = policy()) {
  const profile: RBACProfile = {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "RBACProfile",
    metadata: { name: "web", namespace: NAMESPACE },
    spec: {
      principalRef: "web",
      targetClusters: ["c1"],
      permissionDeclarations: [{ permissionSetRef: "reader", scope: "cluster" }],
      rbacPolicyRef: "cluster-policy",
      ...spec,
    },
  };
  const ceiling = validatePermissionSet(SETS["reader"] ?? set("", []));
  return validateRbacProfile(profile, {
    policy: rule === "none" ? undefined : { object: rule, verdict: validateRbacPolicy(rule, ceiling) },
    permissionSet: (name) => {
      const object = SETS[name];
      // The budget of a set is not what this step looks at.
      return object && { object, verdict: name === "wide" ? passed("Valid", "") : validatePermissionSet(object) };
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
    ["no URL rules in namespaces", declare("urls", "namespaced"), "PermissionSetInvalid"],
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
    expect(validateRbacPolicy(broken, undefined)).toMatchObject({
      reason: "ValidationFailed",
      failed: [{ check: "AllowedClustersFormat" }, { check: "MaxPermissionSetRefNotEmpty" }],
    });
    expect(validateRbacPolicy(policy(), undefined).reason).toBe("PermissionSetNotFound");
    expect(validateRbacPolicy(policy(), refused("Invalid", [])).reason).toBe("CeilingInvalid");
    expect(validateRbacPolicy(policy(), passed("Valid", ""))).toMatchObject({ ok: true, reason: "ValidationPassed" });
  });
});
