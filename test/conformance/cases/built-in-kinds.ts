import { expect, it } from "vitest";
import {
  ClusterRole,
  CronJob,
  DaemonSet,
  Deployment,
  Event,
  Job,
  Lease,
  Role,
  RoleBinding,
  Secret,
  Service,
  StatefulSet,
} from "../../../src/api/builtin.ts";
import type { ResourceType } from "../../../src/api/resource-type.ts";
import type { JsonObject } from "../../../src/base/json.ts";
import { type Harness, refusal } from "../harness.ts";

/** A kind without the type of its objects: what is sent here is not always one. */
type Untyped = Omit<ResourceType, "object">;

const kind = (group: string, resource: string, name: string): ResourceType => ({
  group,
  version: "v1",
  resource,
  kind: name,
  namespaced: true,
});
const Claim = kind("", "persistentvolumeclaims", "PersistentVolumeClaim");
const Budget = kind("policy", "poddisruptionbudgets", "PodDisruptionBudget");
const Policy = kind("networking.k8s.io", "networkpolicies", "NetworkPolicy");
const Ingress = kind("networking.k8s.io", "ingresses", "Ingress");

/** Defaults and validation of built-in kinds, as far as packs and drift comparison meet them. */
export function builtInKindCases(h: Harness): void {
  const create = async (of: Untyped, name: string, body: JsonObject) => {
    const { group, version, resource, kind: named, namespaced } = of;
    const type: ResourceType = { group, version, resource, kind: named, namespaced };
    const namespace = type.namespaced ? await h.namespace() : undefined;
    const apiVersion = type.group === "" ? type.version : `${type.group}/${type.version}`;
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
    return h.cluster().create(type, { apiVersion, kind: type.kind, metadata, ...body });
  };
  const causes = async (type: Untyped, body: JsonObject): Promise<readonly string[]> => {
    const error = await refusal(create(type, "bad", body));
    expect([error.code, error.reason]).toEqual([422, "Invalid"]);
    return (error.details.causes ?? []).map((cause) => `${cause.field}: ${cause.message}`).toSorted();
  };
  const pod = { containers: [{ name: "c", image: "x" }] };
  const labels = { matchLabels: { a: "b" } };
  const template = { metadata: { labels: { a: "b" } }, spec: pod };

  it("fills in what drift comparison sees of workloads", async () => {
    const deployment = await create(Deployment, "d", {
      spec: {
        selector: labels,
        template: {
          metadata: { labels: { a: "b" } },
          spec: {
            containers: [
              {
                name: "c",
                image: "x:1",
                ports: [{ containerPort: 80 }],
                livenessProbe: { httpGet: { port: 80 } },
                readinessProbe: { exec: { command: ["x"] } },
              },
            ],
            volumes: [
              { name: "v", configMap: { name: "x" } },
              { name: "i", iscsi: { targetPortal: "x", iqn: "iqn.2001-04.com.example:x", lun: 0 } },
              { name: "p", projected: { sources: [{ serviceAccountToken: { path: "t" } }] } },
            ],
          },
        },
      },
    });
    expect(deployment["spec"]).toEqual({
      progressDeadlineSeconds: 600,
      replicas: 1,
      revisionHistoryLimit: 10,
      selector: labels,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
      template: {
        metadata: { labels: { a: "b" } },
        spec: {
          containers: [
            {
              name: "c",
              image: "x:1",
              imagePullPolicy: "IfNotPresent",
              livenessProbe: {
                failureThreshold: 3,
                httpGet: { path: "/", port: 80, scheme: "HTTP" },
                periodSeconds: 10,
                successThreshold: 1,
                timeoutSeconds: 1,
              },
              ports: [{ containerPort: 80, protocol: "TCP" }],
              readinessProbe: {
                exec: { command: ["x"] },
                failureThreshold: 3,
                periodSeconds: 10,
                successThreshold: 1,
                timeoutSeconds: 1,
              },
              resources: {},
              terminationMessagePath: "/dev/termination-log",
              terminationMessagePolicy: "File",
            },
          ],
          dnsPolicy: "ClusterFirst",
          restartPolicy: "Always",
          schedulerName: "default-scheduler",
          securityContext: {},
          terminationGracePeriodSeconds: 30,
          volumes: [
            { name: "v", configMap: { name: "x", defaultMode: 420 } },
            {
              name: "i",
              iscsi: { targetPortal: "x", iqn: "iqn.2001-04.com.example:x", lun: 0, iscsiInterface: "default" },
            },
            {
              name: "p",
              projected: {
                defaultMode: 420,
                sources: [{ serviceAccountToken: { path: "t", expirationSeconds: 3600 } }],
              },
            },
          ],
        },
      },
    });
    const cron = await create(CronJob, "c", {
      spec: {
        schedule: "*/5 * * * *",
        jobTemplate: { spec: { template: { spec: { ...pod, restartPolicy: "Never" } } } },
      },
    });
    expect(cron["spec"]).toMatchObject({
      concurrencyPolicy: "Allow",
      failedJobsHistoryLimit: 1,
      successfulJobsHistoryLimit: 3,
      suspend: false,
      jobTemplate: { metadata: {}, spec: { template: { metadata: {} } } },
    });
    const job = await create(Job, "j", {
      spec: {
        template: { spec: { ...pod, restartPolicy: "Never" } },
        podFailurePolicy: { rules: [{ action: "FailJob", onExitCodes: { operator: "In", values: [1] } }] },
      },
    });
    expect(job["spec"]).toMatchObject({
      backoffLimit: 6,
      completions: 1,
      parallelism: 1,
      podReplacementPolicy: "Failed",
    });
    const set = await create(StatefulSet, "s", { spec: { serviceName: "s", selector: labels, template } });
    expect(set["spec"]).toMatchObject({
      podManagementPolicy: "OrderedReady",
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
    });
    const daemons = await create(DaemonSet, "ds", { spec: { selector: labels, template } });
    expect(daemons["spec"]).toMatchObject({
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
    });
    const headless = await create(Service, "hl", { spec: { clusterIP: "None", ports: [{ port: 80 }] } });
    expect(headless["spec"]).toMatchObject({ ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" });
  });

  it("refuses Secrets that are not of their type", async () => {
    expect(await causes(Secret, { type: "kubernetes.io/tls" })).toEqual([
      "data[tls.crt]: Required value",
      "data[tls.key]: Required value",
    ]);
    expect(await causes(Secret, { type: "kubernetes.io/service-account-token" })).toEqual([
      "metadata.annotations[kubernetes.io/service-account.name]: Required value",
    ]);
    const [json = ""] = await causes(Secret, {
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": "no" },
    });
    expect(json).toMatch(/^data\[\.dockerconfigjson\]: Invalid value: "<secret contents redacted>": /);
  });

  it("refuses roles and bindings that say nothing", async () => {
    expect(
      await causes(Role, {
        rules: [
          { verbs: ["get"], apiGroups: [""], nonResourceURLs: ["/x"] },
          { verbs: [], apiGroups: [""], resources: ["pods"] },
          { verbs: ["get"], resources: ["x"] },
          { verbs: ["get"], apiGroups: [""] },
        ],
      }),
    ).toEqual([
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs',
      "rules[1].verbs: Required value: verbs must contain at least one value",
      "rules[2].apiGroups: Required value: resource rules must supply at least one api group",
      "rules[3].resources: Required value: resource rules must supply at least one resource",
    ]);
    expect(
      await causes(ClusterRole, {
        rules: [{ verbs: ["get"], resources: ["pods"], apiGroups: [""], nonResourceURLs: ["/x"] }],
      }),
    ).toEqual([
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs',
    ]);
    const binding = await causes(RoleBinding, {
      roleRef: { kind: "Nope", name: "" },
      subjects: [
        { kind: "User", name: "" },
        { kind: "Group", name: "g", apiGroup: "bad" },
      ],
    });
    expect(binding).toEqual([
      'roleRef.kind: Unsupported value: "Nope": supported values: "Role", "ClusterRole"',
      "roleRef.name: Required value",
      "subjects[0].name: Required value",
      'subjects[1].apiGroup: Unsupported value: "bad": supported values: "rbac.authorization.k8s.io"',
    ]);
  });

  it("refuses Leases, Events, Jobs and CronJobs out of range", async () => {
    expect(await causes(Lease, { spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } })).toEqual([
      "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
      "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ]);
    expect(await causes(Event, { involvedObject: { namespace: "other", name: "x" } })).toEqual([
      'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
    ]);
    expect(
      await causes(Job, {
        spec: {
          parallelism: -1,
          activeDeadlineSeconds: -1,
          ttlSecondsAfterFinished: -1,
          template: { spec: { ...pod, restartPolicy: "OnFailure" } },
          podFailurePolicy: { rules: [{ action: "X", onExitCodes: { operator: "In", values: [0] } }] },
        },
      }),
    ).toEqual([
      "spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
      "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
      'spec.podFailurePolicy.rules[0].action: Unsupported value: "X": supported values: "Count", "FailIndex", "FailJob", "Ignore"',
      "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
      'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
      "spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0",
    ]);
    expect(
      await causes(CronJob, {
        spec: { schedule: "bad", jobTemplate: { spec: { template: { spec: { ...pod, restartPolicy: "Never" } } } } },
      }),
    ).toEqual(['spec.schedule: Invalid value: "bad": expected exactly 5 fields, found 1: [bad]']);
  });

  it("refuses pods whose containers and volumes do not fit", async () => {
    expect(
      await causes(Deployment, {
        spec: {
          selector: labels,
          template: {
            metadata: { labels: { a: "b" } },
            spec: {
              containers: [
                { name: "Bad_", image: "" },
                {
                  name: "c",
                  image: "x",
                  volumeMounts: [{ name: "nope", mountPath: "" }],
                  ports: [{ containerPort: 80, protocol: "X" }],
                },
                { name: "c", image: "y" },
              ],
              volumes: [{ name: "v", emptyDir: {}, hostPath: { path: "/x" } }],
            },
          },
        },
      }),
    ).toEqual([
      "spec.template.spec.containers[0].image: Required value",
      "spec.template.spec.containers[0].name: Invalid value: \"Bad_\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
      'spec.template.spec.containers[1].ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
      "spec.template.spec.containers[1].volumeMounts[0].mountPath: Required value",
      'spec.template.spec.containers[1].volumeMounts[0].name: Not found: "nope"',
      'spec.template.spec.containers[2].name: Duplicate value: "c"',
      "spec.template.spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    ]);
  });

  it("refuses claims, budgets, policies and ingresses that mean nothing", async () => {
    expect(await causes(Claim, { spec: { accessModes: ["Odd"], resources: {} } })).toEqual([
      'spec.accessModes: Unsupported value: "Odd": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
      "spec.resources[storage]: Required value",
    ]);
    expect(await causes(Budget, { spec: { minAvailable: 1, maxUnavailable: 1, selector: labels } })).toEqual([
      'spec: Invalid value: {"MinAvailable":1,"Selector":{"matchLabels":{"a":"b"}},"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
    ]);
    expect(
      await causes(Policy, {
        spec: {
          podSelector: {},
          ingress: [{ from: [{ ipBlock: { cidr: "bad" }, podSelector: {} }, {}] }],
          policyTypes: ["Odd"],
        },
      }),
    ).toEqual([
      'spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "bad": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
      "spec.ingress[0].from[1]: Required value: must specify a peer",
      'spec.policyTypes[0]: Unsupported value: "Odd": supported values: "Ingress", "Egress"',
    ]);
    const service = { service: { name: "s", port: { number: 80 } } };
    expect(
      await causes(Ingress, {
        spec: { rules: [{ host: "x.example", http: { paths: [{ path: "/", backend: service }] } }] },
      }),
    ).toEqual(["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"]);
  });
}
