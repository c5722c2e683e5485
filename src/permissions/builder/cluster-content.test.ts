import { describe, expect, it } from "vitest";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile, RBACProfileSpec } from "../../api/kinds/rbac-profile.ts";
import { digestOf } from "../../base/digest.ts";
import { SeededRandom } from "../../base/random.ts";
import { encodeContent } from "../snapshot/content.ts";
import { atOnce } from "../../base/next-turn.ts";
import { allowedClusters, standingClusters } from "./applicable-clusters.ts";
import { type ClusterCeilings, clusterContent } from "./cluster-content.ts";
import { type ProfileInput, contributionOf } from "./contribution.ts";
import { RuleMemo, type SharedRuleSet } from "./rule-memo.ts";

const memo = new RuleMemo();
const rulesIn = ({ spec }: PermissionSet) => memo.ofRules(spec.permissions);
const WIDE = rulesIn(ceilingSet([{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }]));
const NO_CEILINGS: ClusterCeilings = { fleet: undefined, cluster: undefined };
const registry = { registered: new Set(["m", "tenant-1", "tenant-2"]), managementCluster: "m" };

function set(name: string, verbs: readonly string[]): PermissionSet {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "PermissionSet",
    metadata: { name, namespace: "seam-system" },
    spec: { permissions: [{ apiGroups: [""], resources: ["pods"], verbs }] },
  };
}

function ceilingSet(permissions: PermissionSet["spec"]["permissions"]): PermissionSet {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "PermissionSet",
    metadata: { name: "cluster-maximum", namespace: "seam-system" },
    spec: { permissions },
  };
}

const policy: RBACPolicy = {
  apiVersion: "guardian.ontai.dev/v1alpha1",
  kind: "RBACPolicy",
  metadata: { name: "policy", namespace: "seam-system" },
  spec: {
    subjectScope: "tenant",
    allowedClusters: ["*"],
    maximumPermissionSetRef: "reader",
    enforcementMode: "audit",
  },
};

const under = (ceiling: SharedRuleSet | undefined, object = policy) => ({
  object,
  ceiling,
  allowed: allowedClusters(object, registry),
});

const SETS: Readonly<Record<string, PermissionSet>> = {
  reader: set("reader", ["get", "list"]),
  reader2: set("reader2", ["list", "get", "get"]),
  writer: set("writer", ["update"]),
};

function input(name: string, spec: Partial<RBACProfileSpec>, more: Partial<ProfileInput> = {}): ProfileInput {
  const namespace = "seam-system";
  const profile: RBACProfile = {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "RBACProfile",
    metadata: { name, namespace, generation: 1 },
    spec: {
      principalRef: name,
      targetClusters: ["tenant-1"],
      permissionDeclarations: [{ permissionSetRef: "reader", scope: "cluster" }],
      rbacPolicyRef: "policy",
      ...spec,
    },
  };
  return {
    profile,
    provisioned: true,
    policy: under(WIDE),
    identities: [],
    rulesOf: (wanted) => {
      const found = SETS[wanted];
      return found && rulesIn(found);
    },
    ...more,
  };
}

const PROFILES = [
  input("alice", { targetClusters: ["tenant-1", "tenant-2"] }),
  input("bob", {
    principalRef: "system:serviceaccount:web:web",
    permissionDeclarations: [
      {
        permissionSetRef: "writer",
        scope: "namespaced",
        namespaces: ["b", "a", "a"],
        expiresAt: "2027-01-01T00:00:00Z",
      },
      { permissionSetRef: "reader2", scope: "namespaced" },
    ],
  }),
  input("carol", { suspend: true }, { provisioned: false }),
  input("dave", { permissionDeclarations: [{ permissionSetRef: "gone", scope: "cluster" }] }),
];

const LIFETIMES = { freshnessWindowSeconds: 300, maxOfflineSeconds: 86_400 };

/** Every cluster's content, of profiles that all stand where they aim. */
function build(profiles: readonly ProfileInput[], ceilings = NO_CEILINGS) {
  const contributions = profiles.map((each) => contributionOf(each, registry, memo));
  const computed = ["tenant-1", "tenant-2", "tenant-3"].map((cluster) => {
    const standing = profiles.flatMap(({ profile }, i) => {
      const { namespace = "", name } = profile.metadata;
      const contribution = contributions[i];
      const here = contribution !== undefined && standingClusters(profile, registry).includes(cluster);
      return here ? [{ namespace, name, contribution }] : [];
    });
    return atOnce(clusterContent(cluster, standing, ceilings, LIFETIMES));
  });
  return {
    contributions,
    hashes: new Map(computed.map(({ cluster, contentHash }) => [cluster, contentHash])),
    contents: new Map(computed.map(({ cluster, content }) => [cluster, content])),
  };
}

describe("clusterContent", () => {
  const { contents, contributions, hashes } = build(PROFILES);

  it("joins what provisioned profiles declare on a cluster, sharing equal rule sets", () => {
    const content = contents.get("tenant-1");
    expect(content?.subjects.map(({ kind, namespace, name }) => [kind, namespace, name])).toEqual([
      ["ServiceAccount", "web", "web"],
      ["User", "", "alice"],
    ]);
    expect(content?.ruleSets).toHaveLength(2);
    const [web, alice] = content?.subjects ?? [];
    expect(web?.bindings.find(({ expiresAt }) => expiresAt !== "")).toMatchObject({
      scope: "namespaced",
      namespaces: ["a", "b"],
      source: { profileName: "bob", declaration: 0, permissionSet: "writer", policy: "policy" },
    });
    // Two sets with the same canonical rules are one rule set.
    expect(web?.bindings.some(({ ruleSet }) => ruleSet === alice?.bindings[0]?.ruleSet)).toBe(true);
  });

  it("suspends, keeps one bad profile from stopping the others, and records every gate", () => {
    const content = contents.get("tenant-1");
    expect(content?.suspendedPrincipals).toEqual(["carol"]);
    expect(contributions.map(({ problem }) => problem)).toEqual([
      undefined,
      undefined,
      undefined,
      "PermissionSet seam-system/gone is missing",
    ]);
    expect(content?.profiles.map(({ name, provisioned }) => [name, provisioned])).toEqual([
      ["alice", true],
      ["bob", true],
      ["carol", false],
      ["dave", false],
    ]);
  });

  it("W4, W5: trims every declaration to the ceiling, keeps names, and warns of one that is trimmed away", () => {
    const named = ceilingSet([{ apiGroups: [""], resources: ["pods"], verbs: ["get"], resourceNames: ["web"] }]);
    const trimmed = build([
      input("alice", {}, { policy: under(rulesIn(named)) }),
      input(
        "bob",
        { permissionDeclarations: [{ permissionSetRef: "writer", scope: "cluster" }] },
        { policy: under(rulesIn(named)) },
      ),
    ]);
    const content = trimmed.contents.get("tenant-1");
    expect(content?.subjects.map(({ name }) => name)).toEqual(["alice"]);
    expect(content?.ruleSets.flatMap(({ rules }) => rules)).toMatchObject([
      { verbs: ["get"], resources: ["pods"], resourceNames: ["web"] },
    ]);
    expect(trimmed.contributions.map(({ fullyTrimmed }) => fullyTrimmed)).toEqual([[], [0]]);
    expect(content?.profiles.map(({ provisioned }) => provisioned)).toEqual([true, true]);
  });

  it("grants nothing without a ceiling", () => {
    const { contents: none, contributions: left } = build([input("alice", {}, { policy: under(undefined) })]);
    expect(none.get("tenant-1")?.subjects).toEqual([]);
    expect(left[0]?.problem).toBe("a ceiling over its RBACPolicy is missing");
  });

  it("carries the ceilings as rule sets", () => {
    const cluster = rulesIn(ceilingSet([{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]));
    const content = build(PROFILES, { fleet: WIDE, cluster }).contents.get("tenant-3");
    expect(content?.ceilings).toEqual({ fleet: WIDE.id, cluster: cluster.id });
    expect(content?.ruleSets.map(({ id }) => id).sort()).toEqual([WIDE.id, cluster.id].sort());
  });

  it("gives a cluster without grants an empty snapshot", () => {
    expect(contents.get("tenant-3")).toMatchObject({ subjects: [], ruleSets: [], profiles: [] });
  });

  it("keeps a tenant's profiles on their own cluster and obeys the policy's clusters", () => {
    const tenants = input("eve", { targetClusters: ["tenant-1", "tenant-2"] });
    const own = { ...tenants.profile, metadata: { ...tenants.profile.metadata, namespace: "seam-tenant-tenant-2" } };
    const bound = build([{ ...tenants, profile: own }]).contents;
    expect([bound.get("tenant-1")?.subjects.length, bound.get("tenant-2")?.subjects.length]).toEqual([0, 1]);
    const narrow = { ...policy, spec: { ...policy.spec, allowedClusters: ["tenant-1"] } };
    const allowed = build([{ ...tenants, policy: under(WIDE, narrow) }]).contents;
    expect([allowed.get("tenant-1")?.subjects.length, allowed.get("tenant-2")?.subjects.length]).toEqual([1, 0]);
    const management = { ...policy, spec: { ...policy.spec, allowedClusters: [] } };
    expect(build([{ ...tenants, policy: under(WIDE, management) }]).contents.get("tenant-1")?.subjects).toEqual([]);
  });

  it("has one content hash, whatever the order of its inputs", () => {
    const contentHash = hashes.get("tenant-1");
    const content = contents.get("tenant-1");
    // The texts that it is put together of are what the whole would be written as.
    expect(content && encodeContent(content).contentHash).toBe(contentHash);
    // The golden value: a change here is a new version of every snapshot in every fleet.
    expect(contentHash).toBe("sha256:b6d14e2c386c7f3fb359bcd678ac722228603f98bf6af2b0b22fd3abeafe9b2d");
    const random = new SeededRandom(5);
    for (let i = 0; i < 20; i++) {
      const shuffled = PROFILES.map((profile) => ({ profile, at: random.next() }))
        .sort((a, b) => a.at - b.at)
        .map(({ profile }) => profile);
      expect(build(shuffled).hashes.get("tenant-1")).toBe(contentHash);
    }
  });

  it.each([
    ["short", 1],
    ["that fills the room for encoding", 9_000],
    ["beyond it", 16_000],
  ])("has the digest and the length of its bytes with a text %s", async (_, names) => {
    const resourceNames = Array.from({ length: names }, (__, i) => `größe-字-😀-${i}`);
    const fleet = memo.ofRules([{ verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames }]);
    const more = memo.ofRules([{ verbs: ["é"], apiGroups: [""], resources: ["pods"], resourceNames }]);
    const lifetimes = { freshnessWindowSeconds: 300, maxOfflineSeconds: 86_400 };
    const computed = atOnce(clusterContent("tenant-1", [], { fleet, cluster: more }, lifetimes));
    expect(digestOf(computed.bytes)).toBe(computed.contentHash);
    expect(Buffer.from(computed.bytes).toString()).toBe(computed.text);
    expect(computed.bytes.length).toBe(Buffer.byteLength(computed.text));
    expect(Buffer.compare(await computed.bytesInTurns(), computed.bytes)).toBe(0);
  });
});
