import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CustomResourceDefinition, Namespace } from "../../src/api/builtin.ts";
import { loadCrds } from "../../src/api/kinds/crds.ts";
import { DriftSignal } from "../../src/api/kinds/drift-signal.ts";
import { IdentityBinding } from "../../src/api/kinds/identity-binding.ts";
import { IdentityProvider } from "../../src/api/kinds/identity-provider.ts";
import { PackDelivery, type PackDeliverySpec } from "../../src/api/kinds/pack-delivery.ts";
import { PackExecution } from "../../src/api/kinds/pack-execution.ts";
import { PackInstalled } from "../../src/api/kinds/pack-installed.ts";
import { PackLog } from "../../src/api/kinds/pack-log.ts";
import { PermissionSet } from "../../src/api/kinds/permission-set.ts";
import { RBACProfile } from "../../src/api/kinds/rbac-profile.ts";
import { RunnerConfig } from "../../src/api/kinds/runner-config.ts";
import { TalosCluster } from "../../src/api/kinds/talos-cluster.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { JsonObject } from "../../src/base/json.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { KubeObject } from "../../src/api/object.ts";
import type { ResourceType } from "../../src/api/resource-type.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { installCrds } from "../../src/controller/install-crds.ts";
import { realServerAssets, startRealApiServer } from "../support/real-api-server.ts";

interface Target {
  readonly cluster: Cluster;
  close(): Promise<void>;
}

async function embedded(): Promise<Target> {
  const directory = await mkdtemp(join(tmpdir(), "seam-crds-"));
  const cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
  return {
    cluster,
    close: async () => {
      await cluster.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const DIGEST = `sha256:${"0a".repeat(32)}`;
const NAMESPACE = "seam-tenant-edge";
const PACK: PackDeliverySpec = {
  version: "v1.0.0",
  registryRef: { url: "packs.example.net:5000/team/hello", digest: DIGEST },
  rbacDigest: DIGEST,
  workloadDigest: DIGEST,
  checksum: DIGEST,
  targetClusters: ["edge"],
  executionOrder: [{ name: "rbac" }, { name: "stateless", manifests: ["apps/Deployment/a/b"] }],
  lifecyclePolicies: { prune: false, replace: ["Job"] },
};

function cases(name: string, open: () => Promise<Target>): void {
  describe(name, () => {
    let target: Target;
    let counter = 0;

    beforeAll(async () => {
      target = await open();
      await installCrds(target.cluster, systemClock);
      await target.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
      // A real server serves a kind a moment after it says Established.
      await vi.waitFor(
        async () => {
          for (const crd of loadCrds()) {
            const { group, names } = crd.spec;
            await target.cluster.list({
              group,
              version: "v1alpha1",
              resource: names.plural,
              kind: names.kind,
              namespaced: true,
            });
          }
        },
        { timeout: 20_000, interval: 50 },
      );
    }, 120_000);
    afterAll(() => target.close());

    function create<T extends KubeObject>(type: ResourceType<T>, spec: object, objectName?: string): Promise<T> {
      const object = {
        apiVersion: `${type.group}/${type.version}`,
        kind: type.kind,
        metadata: { name: objectName ?? `o-${++counter}`, namespace: NAMESPACE },
        spec,
      };
      return target.cluster.create(type, object as unknown as T);
    }

    function patch<T extends KubeObject>(type: ResourceType<T>, object: T, spec: JsonObject): Promise<T> {
      return target.cluster.patch(
        type,
        { namespace: NAMESPACE, name: object.metadata.name },
        { type: "merge", body: { spec } },
      );
    }

    it("accepts every CRD: structural, with rules whose cost fits", async () => {
      for (const crd of loadCrds()) {
        const { status } = await target.cluster.get(CustomResourceDefinition, { name: crd.metadata.name });
        const bad = status?.conditions?.filter(
          (condition) => condition.type === "NonStructuralSchema" && condition.status === "True",
        );
        expect({ [crd.metadata.name]: bad ?? [] }).toEqual({ [crd.metadata.name]: [] });
        expect(status?.acceptedNames?.shortNames).toEqual(crd.spec.names.shortNames);
        expect(status?.acceptedNames?.categories).toContain("seam");
      }
    });

    it("installs again over itself without a change", async () => {
      const versions = async (): Promise<readonly (string | undefined)[]> =>
        Promise.all(
          loadCrds().map(async ({ metadata }) =>
            (
              await target.cluster.get(CustomResourceDefinition, { name: metadata.name })
            ).metadata.generation?.toString(),
          ),
        );
      const before = await versions();
      await installCrds(target.cluster, systemClock);
      expect(await versions()).toEqual(before);
    });

    it("keeps a PackDelivery immutable but for rollbackToRevision", async () => {
      const delivery = await create(PackDelivery, PACK);
      expect(delivery.spec).toMatchObject({ rollbackToRevision: 0, deployTimeoutSeconds: 1800 });
      expect(delivery.spec.lifecyclePolicies).toMatchObject({ prune: false, deletionPolicy: "Delete" });
      await expect(patch(PackDelivery, delivery, { version: "v2" })).rejects.toThrow(
        "version is immutable after creation",
      );
      await expect(patch(PackDelivery, delivery, { targetClusters: ["edge", "west"] })).rejects.toThrow(
        "targetClusters is immutable",
      );
      await expect(patch(PackDelivery, delivery, { checksum: null })).rejects.toThrow();
      await expect(patch(PackDelivery, delivery, { sourceBuildRef: "added" })).rejects.toThrow(
        "sourceBuildRef is immutable",
      );
      expect((await patch(PackDelivery, delivery, { rollbackToRevision: 3 })).spec.rollbackToRevision).toBe(3);
    });

    it("refuses packs that say what cannot be", async () => {
      const { checksum: _checksum, ...without } = PACK;
      await expect(create(PackDelivery, without)).rejects.toThrow("checksum is required when rbacDigest is set");
      await expect(create(PackDelivery, { ...PACK, basePackName: "a", dependsOn: ["a"] })).rejects.toThrow(
        "a pack cannot depend on itself",
      );
      await expect(create(PackDelivery, { ...PACK, dependsOn: ["self"] }, "self")).rejects.toThrow(
        "a pack cannot depend on itself",
      );
      await expect(create(PackDelivery, PACK, "n".repeat(53))).rejects.toThrow("at most 52 characters");
      for (const url of [
        "https://packs.example.net/a",
        "packs.example.net",
        "packs.example.net/a:v1",
        "packs.example.net/a@x",
      ])
        await expect(create(PackDelivery, { ...PACK, registryRef: { url, digest: DIGEST } })).rejects.toThrow("url");
      await expect(create(PackDelivery, { ...PACK, targetClusters: ["c".repeat(41)] })).rejects.toThrow();
      await expect(
        create(PackDelivery, { ...PACK, executionOrder: [{ name: "rbac" }, { name: "rbac" }] }),
      ).rejects.toThrow("Duplicate");
    });

    it("seals PackExecution and PackLog, and the target of a PackInstalled", async () => {
      const execution = await create(PackExecution, {
        clusterPackRef: { name: "p", version: "v1" },
        targetClusterRef: "edge",
      });
      expect(execution.spec.intent).toBe("Deploy");
      await expect(patch(PackExecution, execution, { intent: "Redeploy" })).rejects.toThrow("spec is immutable");
      await expect(
        create(PackExecution, {
          clusterPackRef: { name: "p", version: "v1" },
          targetClusterRef: "edge",
          intent: "Rollback",
        }),
      ).rejects.toThrow("rollbackRevision is required");
      const log = await create(PackLog, { revision: 1, capability: "pack-deploy", status: "Succeeded" });
      await expect(patch(PackLog, log, { revision: 2 })).rejects.toThrow("spec is immutable");
      await expect(create(PackLog, { revision: 1, capability: "pack-deploy", status: "Failed" })).rejects.toThrow(
        "failureReason is required",
      );
      const installed = await create(PackInstalled, { clusterPackRef: "p", version: "v1", targetClusterRef: "edge" });
      await patch(PackInstalled, installed, { version: "v2" });
      await expect(patch(PackInstalled, installed, { targetClusterRef: "west" })).rejects.toThrow("immutable");
    });

    it("lets a DriftSignal move only along its state machine", async () => {
      const event = { correlationID: "5f0e9b54-7a3a-4c37-9a55-0d4f3a3f6f11", observedAt: "2026-01-10T08:00:00Z" };
      const signal = await create(DriftSignal, {
        state: "pending",
        ...event,
        affectedCRRef: { group: "seam.ontai.dev", kind: "PackDelivery", name: "p" },
        driftReason: "gone",
      });
      await expect(patch(DriftSignal, signal, { state: "queued", correctionJobRef: "j" })).rejects.toThrow(
        "state goes",
      );
      await patch(DriftSignal, signal, { state: "delivered" });
      await expect(patch(DriftSignal, signal, { state: "queued" })).rejects.toThrow("correctionJobRef is required");
      await patch(DriftSignal, signal, { state: "queued", correctionJobRef: "j" });
      await patch(DriftSignal, signal, { state: "delivered", escalationCounter: 1 });
      await expect(patch(DriftSignal, signal, { state: "pending" })).rejects.toThrow("state goes");
      await expect(
        patch(DriftSignal, signal, { correlationID: "6f0e9b54-7a3a-4c37-9a55-0d4f3a3f6f11" }),
      ).rejects.toThrow("correlationID changes only");
      await patch(DriftSignal, signal, { state: "confirmed" });
      await expect(patch(DriftSignal, signal, { state: "pending" })).rejects.toThrow("a new drift event has a new");
      await patch(DriftSignal, signal, {
        state: "pending",
        correlationID: "6f0e9b54-7a3a-4c37-9a55-0d4f3a3f6f11",
        observedAt: "2026-01-11T08:00:00Z",
      });
    });

    it("checks clusters, runner configurations and permissions", async () => {
      await expect(create(TalosCluster, { mode: "import" })).rejects.toThrow("role is required when mode is import");
      const talos = await create(TalosCluster, { mode: "import", role: "tenant" });
      expect(talos.spec).toMatchObject({ infrastructureProvider: "native", pkiRotationThresholdDays: 30 });
      await expect(patch(TalosCluster, talos, { role: "management" })).rejects.toThrow("role is immutable once set");
      await expect(
        create(TalosCluster, {
          mode: "bootstrap",
          role: "tenant",
          capi: { enabled: true },
          clusterEndpoint: "10.0.0.1",
        }),
      ).rejects.toThrow("controlPlane is required");
      await expect(
        create(RunnerConfig, {
          clusterRef: "edge",
          runnerImage: "r.example/exec:v1",
          agentImage: "r.example/agent:v2",
        }),
      ).rejects.toThrow("the same tag");
      await expect(create(PermissionSet, { permissions: [{ verbs: ["get"], resources: ["pods"] }] })).rejects.toThrow(
        'write "" for the core group',
      );
      await expect(
        create(PermissionSet, {
          permissions: [{ verbs: ["get"], nonResourceURLs: ["/metrics"], apiGroups: [""], resources: ["pods"] }],
        }),
      ).rejects.toThrow("nonResourceURLs excludes");
      await create(PermissionSet, { permissions: [{ verbs: ["*"], apiGroups: [""], resources: ["pods/log"] }] });
      await expect(
        create(RBACProfile, {
          principalRef: "alice",
          targetClusters: ["edge"],
          permissionDeclarations: [{ permissionSetRef: "s", scope: "cluster", namespaces: ["a"] }],
        }),
      ).rejects.toThrow("namespaces is only for scope namespaced");
      await expect(create(IdentityProvider, { type: "oidc", issuerURL: "http://sso.example.net" })).rejects.toThrow(
        /issuerURL is an https URL for type oidc[^]*allowedAudiences names at least one audience/,
      );
      await expect(create(IdentityProvider, { type: "pki" })).rejects.toThrow("caBundle holds the certificates");
      await create(IdentityProvider, {
        type: "oidc",
        issuerURL: "https://sso.example.net",
        allowedAudiences: ["seam"],
      });
      await expect(
        create(IdentityBinding, { identityType: "password", principalName: "a", trustMethod: "token" }),
      ).rejects.toThrow("identityType");
      await create(IdentityBinding, { identityType: "oidc", principalName: "a", trustMethod: "token" });
    });

    it("keeps conditions of several writers apart", async () => {
      const installed = await create(PackInstalled, { clusterPackRef: "p", version: "v1", targetClusterRef: "edge" });
      const key = { namespace: NAMESPACE, name: installed.metadata.name };
      for (const [manager, type] of [
        ["signer", "SigningRefused"],
        ["dispatcher", "Ready"],
      ] as const) {
        const condition = {
          type,
          status: "True",
          reason: "Because",
          message: "",
          lastTransitionTime: "2026-01-10T08:00:00Z",
        };
        await target.cluster.patch(
          PackInstalled,
          key,
          {
            type: "apply",
            body: {
              apiVersion: "seam.ontai.dev/v1alpha1",
              kind: "PackInstalled",
              metadata: key,
              status: { conditions: [condition] },
            },
          },
          { fieldManager: manager, force: true, subresource: "status" },
        );
      }
      const { status } = await target.cluster.get(PackInstalled, key);
      expect(status?.conditions?.map(({ type }) => type).toSorted()).toEqual(["Ready", "SigningRefused"]);
    });
  });
}

cases("seam CRDs on the embedded cluster", embedded);

const assets = realServerAssets();
describe.skipIf(assets === undefined)("with KUBEBUILDER_ASSETS", () => {
  cases("seam CRDs on kube-apiserver with etcd", () => startRealApiServer(assets ?? ""));
});
