import { expect, it } from "vitest";
import { ConfigMap, Deployment, Namespace, Pod, RoleBinding, Secret, Service } from "../../../src/api/builtin.ts";
import { type Harness, refusal } from "../harness.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

export function objectCases(h: Harness): void {
  it("fills in uid, creationTimestamp and resourceVersion, and reads back what it wrote", async () => {
    const namespace = await h.namespace();
    const created = await h.cluster().create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", namespace, labels: { x: "y" } },
      data: { k: "v" },
    });
    expect(created.metadata.uid).toMatch(UUID);
    expect(created.metadata.creationTimestamp).toMatch(TIME);
    expect(Number(created.metadata.resourceVersion)).toBeGreaterThan(0);
    expect(created.metadata.generation).toBeUndefined();
    expect(await h.cluster().get(ConfigMap, { namespace, name: "a" })).toEqual(created);
  });

  it("answers 404 and 409 in the words of the API server", async () => {
    const namespace = await h.namespace();
    const missing = await refusal(h.cluster().get(Deployment, { namespace, name: "nope" }));
    expect([missing.code, missing.reason]).toEqual([404, "NotFound"]);
    expect(missing.message).toBe('deployments.apps "nope" not found');
    const draft = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "twice", namespace } };
    await h.cluster().create(ConfigMap, draft);
    const again = await refusal(h.cluster().create(ConfigMap, draft));
    expect([again.code, again.reason]).toEqual([409, "AlreadyExists"]);
    expect(again.message).toBe('configmaps "twice" already exists');
    const nowhere = await refusal(
      h.cluster().create(ConfigMap, { ...draft, metadata: { name: "a", namespace: "no-such-namespace" } }),
    );
    expect(nowhere.message).toBe('namespaces "no-such-namespace" not found');
  });

  it("generates names", async () => {
    const namespace = await h.namespace();
    const create = () =>
      h
        .cluster()
        .create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "gen-", namespace } });
    const [a, b] = await Promise.all([create(), create()]);
    expect(a.metadata.name).toMatch(/^gen-[a-z0-9]{5}$/);
    expect(a.metadata.name).not.toBe(b.metadata.name);
  });

  it("refuses bad names, labels and owners with a cause per field", async () => {
    const namespace = await h.namespace();
    const error = await refusal(
      h.cluster().create(ConfigMap, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "Not_A_Name", namespace, labels: { "bad key!": "v", ok: "bad value!" } },
      }),
    );
    expect([error.code, error.reason]).toEqual([422, "Invalid"]);
    expect(error.message).toMatch(
      /^ConfigMap "Not_A_Name" is invalid: \[metadata\.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain must consist of/,
    );
    expect(error.details.causes?.map((cause) => cause.field)).toEqual([
      "metadata.name",
      "metadata.labels",
      "metadata.labels",
    ]);
  });

  it("updates conditionally on resourceVersion", async () => {
    const namespace = await h.namespace();
    const first = await h.cluster().create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", namespace },
      data: { k: "1" },
    });
    const second = await h.cluster().update(ConfigMap, { ...first, data: { k: "2" } });
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
    const error = await refusal(h.cluster().update(ConfigMap, { ...first, data: { k: "3" } }));
    expect([error.code, error.reason]).toEqual([409, "Conflict"]);
    expect(error.message).toBe(
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    );
    const { resourceVersion: _, ...metadata } = first.metadata;
    const forced = await h.cluster().update(ConfigMap, { ...first, metadata, data: { k: "4" } });
    expect(forced.data).toEqual({ k: "4" });
  });

  it("does not write when nothing changes", async () => {
    const namespace = await h.namespace();
    const created = await h.cluster().create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", namespace },
      data: { k: "1" },
    });
    const updated = await h.cluster().update(ConfigMap, created);
    expect(updated.metadata.resourceVersion).toBe(created.metadata.resourceVersion);
  });

  it("lets exactly one of many racing writers win each version", async () => {
    const namespace = await h.namespace();
    const object = await h.cluster().create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", namespace },
    });
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => h.cluster().update(ConfigMap, { ...object, data: { winner: `${i}` } })),
    );
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  });

  it("keeps status and the rest apart, and counts generations of the spec only", async () => {
    const namespace = await h.namespace();
    const created = await h.cluster().create(Deployment, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d", namespace },
      spec: {
        selector: { matchLabels: { app: "a" } },
        template: { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "c", image: "a:1" }] } },
      },
    });
    expect(created.metadata.generation).toBe(1);
    const withStatus = await h.cluster().updateStatus(Deployment, {
      ...created,
      spec: { ...created.spec, replicas: 9 },
      status: { replicas: 4, observedGeneration: 1 },
    });
    expect(withStatus.spec.replicas).toBe(1);
    expect(withStatus.status?.replicas).toBe(4);
    expect(withStatus.metadata.generation).toBe(1);
    const scaled = await h.cluster().update(Deployment, {
      ...withStatus,
      spec: { ...withStatus.spec, replicas: 2 },
      status: { replicas: 99 },
    });
    expect(scaled.metadata.generation).toBe(2);
    expect(scaled.status?.replicas).toBe(4);
    const labelled = await h.cluster().update(Deployment, {
      ...scaled,
      metadata: { ...scaled.metadata, labels: { a: "b" } },
    });
    expect(labelled.metadata.generation).toBe(2);
  });

  it("fills in the defaults drift comparison sees", async () => {
    const namespace = await h.namespace();
    const deployment = await h.cluster().create(Deployment, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d", namespace },
      spec: {
        selector: { matchLabels: { app: "a" } },
        template: {
          metadata: { labels: { app: "a" } },
          spec: {
            containers: [
              { name: "c", image: "a:1", ports: [{ containerPort: 80 }], livenessProbe: { httpGet: { port: 80 } } },
            ],
          },
        },
      },
    });
    expect(deployment.spec).toMatchObject({
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
      template: {
        spec: {
          restartPolicy: "Always",
          dnsPolicy: "ClusterFirst",
          schedulerName: "default-scheduler",
          terminationGracePeriodSeconds: 30,
          securityContext: {},
          containers: [
            {
              imagePullPolicy: "IfNotPresent",
              resources: {},
              terminationMessagePath: "/dev/termination-log",
              terminationMessagePolicy: "File",
              ports: [{ containerPort: 80, protocol: "TCP" }],
              livenessProbe: {
                httpGet: { path: "/", port: 80, scheme: "HTTP" },
                timeoutSeconds: 1,
                periodSeconds: 10,
                successThreshold: 1,
                failureThreshold: 3,
              },
            },
          ],
        },
      },
    });
    const service = await h.cluster().create(Service, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "s", namespace },
      spec: { ports: [{ port: 80 }], selector: { app: "a" } },
    });
    expect(service.spec).toMatchObject({
      type: "ClusterIP",
      sessionAffinity: "None",
      internalTrafficPolicy: "Cluster",
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
    });
    expect(service.spec.clusterIP).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    const binding = await h.cluster().create(RoleBinding, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "b", namespace },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
      subjects: [{ kind: "User", name: "ann" }],
    });
    expect(binding.subjects?.[0]?.apiGroup).toBe("rbac.authorization.k8s.io");
  });

  it("folds stringData into data and checks known types of Secrets", async () => {
    const namespace = await h.namespace();
    const secret = await h.cluster().create(Secret, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "s", namespace },
      data: { a: "YQ==" },
      stringData: { b: "plain" },
    });
    expect(secret.data).toEqual({ a: "YQ==", b: "cGxhaW4=" });
    expect(secret.stringData).toBeUndefined();
    expect(secret.type).toBe("Opaque");
    const tls = await refusal(
      h.cluster().create(Secret, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "t", namespace },
        type: "kubernetes.io/tls",
        data: { "tls.crt": "YQ==" },
      }),
    );
    expect(tls.message).toBe('Secret "t" is invalid: data[tls.key]: Required value');
  });

  it("keeps immutable ConfigMaps and Secrets as they are", async () => {
    const namespace = await h.namespace();
    const map = await h.cluster().create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "fixed", namespace },
      data: { k: "v" },
      immutable: true,
    });
    const error = await refusal(h.cluster().update(ConfigMap, { ...map, data: { k: "w" } }));
    expect(error.message).toBe(
      'ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set',
    );
    const labelled = await h.cluster().update(ConfigMap, { ...map, metadata: { ...map.metadata, labels: { a: "b" } } });
    expect(labelled.metadata.labels).toEqual({ a: "b" });
  });

  it("keeps what may not change: selectors, roleRef, pod specs", async () => {
    const namespace = await h.namespace();
    const pod = await h.cluster().create(Pod, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace },
      spec: { containers: [{ name: "c", image: "a:1" }], automountServiceAccountToken: false },
    });
    const changed = await refusal(
      h.cluster().update(Pod, { ...pod, spec: { ...pod.spec, containers: [{ name: "other", image: "a:1" }] } }),
    );
    expect([changed.code, changed.reason]).toEqual([422, "Invalid"]);
    const image = await h
      .cluster()
      .patch(
        Pod,
        { namespace, name: "p" },
        { type: "json", body: [{ op: "replace", path: "/spec/containers/0/image", value: "a:2" }] },
      );
    expect(image.spec.containers[0]?.image).toBe("a:2");
    const binding = await h.cluster().create(RoleBinding, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "b", namespace },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
    });
    const other = await refusal(
      h.cluster().update(RoleBinding, { ...binding, roleRef: { ...binding.roleRef, name: "other" } }),
    );
    expect(other.message).toContain("cannot change roleRef");
  });

  it("runs everything but the write in a dry run", async () => {
    const namespace = await h.namespace();
    const draft = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "dry", namespace }, data: { a: "b" } };
    const created = await h.cluster().create(ConfigMap, draft, { dryRun: true });
    expect(created.metadata.uid).toMatch(UUID);
    expect((await refusal(h.cluster().get(ConfigMap, { namespace, name: "dry" }))).code).toBe(404);
    const real = await h.cluster().create(ConfigMap, draft);
    const updated = await h.cluster().update(ConfigMap, { ...real, data: { a: "c" } }, { dryRun: true });
    expect(updated.data).toEqual({ a: "c" });
    expect(await h.cluster().get(ConfigMap, { namespace, name: "dry" })).toEqual(real);
    await h.cluster().delete(ConfigMap, { namespace, name: "dry" }, { dryRun: true });
    expect(await h.cluster().get(ConfigMap, { namespace, name: "dry" })).toEqual(real);
  });

  it("has the namespaces of every cluster, named by a label", async () => {
    const { items } = await h.cluster().list(Namespace);
    const names = items.map((namespace) => namespace.metadata.name);
    expect(names).toEqual(expect.arrayContaining(["default", "kube-system", "kube-public", "kube-node-lease"]));
    const system = await h.cluster().get(Namespace, { name: "kube-system" });
    expect(system.metadata.labels).toMatchObject({ "kubernetes.io/metadata.name": "kube-system" });
    expect(system.status?.phase).toBe("Active");
  });

  it("refuses objects over its size limit and takes large ones", async () => {
    const namespace = await h.namespace();
    const draft = (size: number, name: string) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace },
      data: { big: "x".repeat(size) },
    });
    const large = await h.cluster().create(ConfigMap, draft(900 * 1024, "large"));
    expect(large.data?.["big"]).toHaveLength(900 * 1024);
    const error = await refusal(h.cluster().create(ConfigMap, draft(1100 * 1024, "too-large")));
    expect([413, 422]).toContain(error.code);
  });
}
