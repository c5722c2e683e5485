import type { PermissionSet } from "../../src/api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../src/api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../src/api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../src/api/kinds/talos-cluster.ts";
import { atOnce } from "../../src/base/next-turn.ts";
import { PermissionEngine } from "../../src/governance/engine/permission-engine.ts";
import { type PermissionWorld, objectsOf } from "../../src/governance/engine/permission-world.ts";
import { median } from "../report/statistics.ts";

/** Computation of the effective permission graph, milliseconds. */
export interface RecomputeFigures {
  readonly clusters: number;
  /** Profiles of each cluster; all of them together are this times `clusters`. */
  readonly profilesPerCluster: number;
  /** Everything judged and computed anew. */
  readonly fullMs: number;
  /** Growth of heap and buffers by the view, bytes; after garbage collection. */
  readonly viewBytes: number;
  /** One profile of one tenant changed. */
  readonly oneMs: number;
  readonly oneTouched: number;
  /** One profile of the fleet changed, which aims at every cluster. */
  readonly fleetMs: number;
  readonly fleetTouched: number;
}

const SETS_PER_CLUSTER = 10;
const API_VERSION = "guardian.ontai.dev/v1alpha1";

function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function set(namespace: string, name: string, resources: readonly string[]): PermissionSet {
  const permissions = [
    { apiGroups: ["", "apps"], resources: [...resources], verbs: ["get", "list", "watch", "update"] },
  ];
  return { apiVersion: API_VERSION, kind: "PermissionSet", metadata: { namespace, name }, spec: { permissions } };
}

function policy(
  namespace: string,
  name: string,
  maximumPermissionSetRef: string,
  allowedClusters: string[],
): RBACPolicy {
  return {
    apiVersion: API_VERSION,
    kind: "RBACPolicy",
    metadata: { namespace, name },
    spec: { subjectScope: "tenant", allowedClusters, maximumPermissionSetRef, enforcementMode: "audit" },
  };
}

function profile(
  namespace: string,
  name: string,
  policyName: string,
  targetClusters: string[],
  setName: string,
  generation = 1,
): RBACProfile {
  return {
    apiVersion: API_VERSION,
    kind: "RBACProfile",
    metadata: { namespace, name, generation },
    spec: {
      principalRef: `system:serviceaccount:${namespace}-${name}:${name}`,
      targetClusters,
      permissionDeclarations: [{ permissionSetRef: setName, scope: "cluster" }],
      rbacPolicyRef: policyName,
    },
  };
}

interface Fleet {
  readonly clusters: TalosCluster[];
  readonly sets: PermissionSet[];
  readonly policies: RBACPolicy[];
  readonly profiles: RBACProfile[];
}

function fleetOf(clusters: number, profilesPerCluster: number): Fleet {
  const names = Array.from({ length: clusters }, (_, i) => `c${i}`);
  const fleet: Fleet = {
    clusters: [],
    sets: [set("seam-system", "management-maximum", ["*"]), set("seam-system", "claims", ["pods"])],
    policies: [policy("seam-system", "management-policy", "management-maximum", ["*"])],
    profiles: [profile("seam-system", "everywhere", "management-policy", names, "claims")],
  };
  for (const name of names) {
    const home = `seam-tenant-${name}`;
    fleet.clusters.push({
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "TalosCluster",
      metadata: { name, namespace: home },
      spec: { mode: "import", role: "tenant" },
    });
    fleet.sets.push(set(home, "cluster-maximum", ["*"]));
    for (let i = 0; i < SETS_PER_CLUSTER; i++) fleet.sets.push(set(home, `claims-${i}`, [`resource-${i}`, "pods"]));
    fleet.policies.push(policy(home, "cluster-policy", "cluster-maximum", [name]));
    for (let i = 0; i < profilesPerCluster; i++)
      fleet.profiles.push(profile(home, `p${i}`, "cluster-policy", [name], `claims-${i % SETS_PER_CLUSTER}`));
  }
  return fleet;
}

/** One change of one profile beside the computation of the whole fleet, as the signer runs it. */
export function recomputeBench(runs: number, clusters = 1_000, profilesPerCluster = 200): RecomputeFigures {
  const fleet = fleetOf(clusters, profilesPerCluster);
  const world = (): PermissionWorld => ({ ...fleet, providers: [], bindings: [], managementCluster: "management" });
  const engine = new PermissionEngine({ managementCluster: "management" });
  const before = heldBytes();
  let started = performance.now();
  for (const object of objectsOf(world())) engine.apply({ type: "put", object });
  atOnce(engine.settle());
  const fullMs = performance.now() - started;
  const viewBytes = heldBytes() - before;
  const changed = (at: number, made: (generation: number) => RBACProfile) => {
    const times: number[] = [];
    let touched = 0;
    for (let run = 0; run < runs; run++) {
      fleet.profiles[at] = made(run + 2);
      started = performance.now();
      touched = 0;
      const object = fleet.profiles[at];
      if (object) engine.apply({ type: "put", object });
      atOnce(engine.settle({ cluster: () => touched++ }));
      times.push(performance.now() - started);
    }
    return { ms: median(times), touched };
  };
  const middle = 1 + Math.floor(clusters / 2) * profilesPerCluster;
  const name = `c${Math.floor(clusters / 2)}`;
  const one = changed(middle, (generation) =>
    profile(
      `seam-tenant-${name}`,
      "p0",
      "cluster-policy",
      [name],
      `claims-${generation % SETS_PER_CLUSTER}`,
      generation,
    ),
  );
  const names = fleet.clusters.map(({ metadata }) => metadata.name);
  const everywhere = changed(0, (generation) =>
    profile(
      "seam-system",
      "everywhere",
      "management-policy",
      generation % 2 === 0 ? names.slice(1) : names,
      "claims",
      generation,
    ),
  );
  return {
    clusters,
    profilesPerCluster,
    fullMs,
    viewBytes,
    oneMs: one.ms,
    oneTouched: one.touched,
    fleetMs: everywhere.ms,
    fleetTouched: everywhere.touched,
  };
}
