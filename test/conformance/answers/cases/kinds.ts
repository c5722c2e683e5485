import {
  ClusterRole,
  ConfigMap,
  CronJob,
  DaemonSet,
  Deployment,
  Ingress,
  Job,
  Lease,
  Namespace,
  NetworkPolicy,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PriorityClass,
  Role,
  RoleBinding,
  Secret,
  Service,
  ServiceAccount,
  StatefulSet,
} from "../../../../src/api/builtin.ts";
import type { KubeObject } from "../../../../src/api/object.ts";
import type { ResourceType } from "../../../../src/api/resource-type.ts";
import { type AnswerCases, casesOf } from "../probe.ts";

type Tried = readonly [ResourceType<KubeObject>, object];

const container = { name: "c", image: "i:1" };
const labels = { app: "a" };
const selector = { matchLabels: labels };
const template = (spec: object = {}): object => ({
  metadata: { labels },
  spec: { containers: [container], ...spec },
});
const jobTemplate = (spec: object = {}): object => ({
  spec: { containers: [container], restartPolicy: "Never", ...spec },
});
const workload = (spec: object): object => ({ spec: { selector, template: template(), ...spec } });
const pod = (spec: object): Tried => [
  Pod,
  { spec: { containers: [container], automountServiceAccountToken: false, ...spec } },
];
const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" };

/** Objects as they are accepted, with the defaults that drift comparison meets. */
const RIGHT: Readonly<Record<string, Tried>> = {
  ConfigMap: [ConfigMap, { data: { "a.b-c_d": "x" }, binaryData: { b: "eA==" } }],
  Secret: [Secret, { stringData: { a: "x" }, data: { b: "eA==" } }],
  ServiceAccount: [ServiceAccount, {}],
  Service: [Service, { spec: { selector: labels, ports: [{ port: 80 }] } }],
  "headless Service": [
    Service,
    { spec: { clusterIP: "None", ports: [{ port: 80, name: "http", targetPort: "web" }] } },
  ],
  "external Service": [Service, { spec: { type: "ExternalName", externalName: "a.example.com" } }],
  Deployment: [Deployment, workload({})],
  StatefulSet: [StatefulSet, workload({ serviceName: "s" })],
  DaemonSet: [DaemonSet, workload({})],
  Job: [Job, { spec: { template: jobTemplate(), suspend: true } }],
  CronJob: [CronJob, { spec: { schedule: "*/5 * * * *", jobTemplate: { spec: { template: jobTemplate() } } } }],
  Role: [Role, { rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] }],
  RoleBinding: [
    RoleBinding,
    {
      roleRef,
      subjects: [
        { kind: "ServiceAccount", name: "s" },
        { kind: "User", name: "u" },
      ],
    },
  ],
  Lease: [Lease, { spec: { holderIdentity: "h", leaseDurationSeconds: 15 } }],
  NetworkPolicy: [NetworkPolicy, { spec: { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] } }],
  PodDisruptionBudget: [PodDisruptionBudget, { spec: { minAvailable: "50%", selector } }],
  Ingress: [
    Ingress,
    {
      spec: {
        rules: [
          {
            host: "a.example.com",
            http: {
              paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "s", port: { number: 80 } } } }],
            },
          },
        ],
      },
    },
  ],
  PersistentVolumeClaim: [
    PersistentVolumeClaim,
    { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } },
  ],
};

/** Objects that are refused. */
const WRONG: Readonly<Record<string, Tried>> = {
  "ConfigMap key": [ConfigMap, { data: { "a b": "x" } }],
  "ConfigMap key twice": [ConfigMap, { data: { a: "x" }, binaryData: { a: "eA==" } }],
  "ConfigMap value": [ConfigMap, { data: { a: 1 } }],
  "ConfigMap binary value": [ConfigMap, { binaryData: { a: "%%" } }],
  "Secret key": [Secret, { data: { "a/b": "eA==" } }],
  "Secret of docker without its key": [Secret, { type: "kubernetes.io/dockerconfigjson" }],
  "Secret of docker that is no JSON": [
    Secret,
    { type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": "{" } },
  ],
  "Secret of a service account": [Secret, { type: "kubernetes.io/service-account-token" }],
  "Secret of basic auth": [Secret, { type: "kubernetes.io/basic-auth" }],
  "Secret of TLS": [Secret, { type: "kubernetes.io/tls", stringData: { "tls.crt": "x" } }],
  "Service without ports": [Service, { spec: {} }],
  "Service port 0": [Service, { spec: { ports: [{ port: 0 }] } }],
  "Service port 70000": [Service, { spec: { ports: [{ port: 70000 }] } }],
  "Service with two unnamed ports": [Service, { spec: { ports: [{ port: 1 }, { port: 2 }] } }],
  "Service with a port twice": [
    Service,
    {
      spec: {
        ports: [
          { name: "a", port: 1 },
          { name: "b", port: 1 },
        ],
      },
    },
  ],
  "Service protocol": [Service, { spec: { ports: [{ port: 1, protocol: "XYZ" }] } }],
  "Service type": [Service, { spec: { type: "Magic", ports: [{ port: 1 }] } }],
  "Service cluster IP": [Service, { spec: { clusterIP: "x", ports: [{ port: 1 }] } }],
  "external Service without a name": [Service, { spec: { type: "ExternalName" } }],
  "Deployment without a selector": [Deployment, { spec: { template: template() } }],
  "Deployment with another selector": [Deployment, workload({ selector: { matchLabels: { app: "b" } } })],
  "Deployment without containers": [Deployment, workload({ template: { metadata: { labels }, spec: {} } })],
  "Deployment with negative replicas": [Deployment, workload({ replicas: -1 })],
  "Deployment that restarts never": [Deployment, workload({ template: template({ restartPolicy: "Never" }) })],
  "Deployment with an unknown strategy": [Deployment, workload({ strategy: { type: "Magic" } })],
  "Deployment with a rolling update of nothing": [
    Deployment,
    workload({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }),
  ],
  "Deployment with replicas of text": [Deployment, workload({ replicas: "x" })],
  "StatefulSet without a selector": [StatefulSet, { spec: { template: template() } }],
  "DaemonSet without a selector": [DaemonSet, { spec: { template: template() } }],
  "Job that restarts always": [Job, { spec: { template: jobTemplate({ restartPolicy: "Always" }) } }],
  "Job without a restart policy": [Job, { spec: { template: { spec: { containers: [container] } } } }],
  "Job with negative parallelism": [Job, { spec: { parallelism: -1, template: jobTemplate() } }],
  "Job with negative backoff": [Job, { spec: { backoffLimit: -1, template: jobTemplate() } }],
  "Job with negative deadline": [Job, { spec: { activeDeadlineSeconds: -1, template: jobTemplate() } }],
  "Job with a selector of its own": [Job, { spec: { selector, template: jobTemplate() } }],
  "CronJob schedule": [
    CronJob,
    { spec: { schedule: "every day", jobTemplate: { spec: { template: jobTemplate() } } } },
  ],
  "CronJob without a schedule": [CronJob, { spec: { jobTemplate: { spec: { template: jobTemplate() } } } }],
  "CronJob policy": [
    CronJob,
    {
      spec: { schedule: "* * * * *", concurrencyPolicy: "Magic", jobTemplate: { spec: { template: jobTemplate() } } },
    },
  ],
  "CronJob time zone": [
    CronJob,
    { spec: { schedule: "* * * * *", timeZone: "Mars/Base", jobTemplate: { spec: { template: jobTemplate() } } } },
  ],
  "Role without verbs": [Role, { rules: [{ apiGroups: [""], resources: ["pods"], verbs: [] }] }],
  "Role without resources": [Role, { rules: [{ apiGroups: [""], verbs: ["get"] }] }],
  "Role without groups": [Role, { rules: [{ resources: ["pods"], verbs: ["get"] }] }],
  "Role with URLs": [Role, { rules: [{ nonResourceURLs: ["/x"], verbs: ["get"] }] }],
  "ClusterRole with URLs and resources": [
    ClusterRole,
    { rules: [{ nonResourceURLs: ["/x"], apiGroups: [""], resources: ["pods"], verbs: ["get"] }] },
  ],
  "RoleBinding without a role": [RoleBinding, {}],
  "RoleBinding of an unknown kind": [RoleBinding, { roleRef: { ...roleRef, kind: "Thing" } }],
  "RoleBinding of an unknown group": [RoleBinding, { roleRef: { ...roleRef, apiGroup: "x" } }],
  "RoleBinding without a name": [RoleBinding, { roleRef: { ...roleRef, name: "" } }],
  "RoleBinding of an unknown subject": [RoleBinding, { roleRef, subjects: [{ kind: "Thing", name: "x" }] }],
  "RoleBinding of a nameless subject": [RoleBinding, { roleRef, subjects: [{ kind: "User", name: "" }] }],
  "RoleBinding of a wrong service account": [
    RoleBinding,
    { roleRef, subjects: [{ kind: "ServiceAccount", name: "A B" }] },
  ],
  "Lease with a duration of zero": [Lease, { spec: { leaseDurationSeconds: 0 } }],
  "Lease with negative transitions": [Lease, { spec: { leaseTransitions: -1 } }],
  "Lease with a wrong time": [Lease, { spec: { renewTime: "yesterday" } }],
  "PodDisruptionBudget with both limits": [
    PodDisruptionBudget,
    { spec: { minAvailable: 1, maxUnavailable: 1, selector } },
  ],
  "PodDisruptionBudget percentage": [PodDisruptionBudget, { spec: { minAvailable: "150%", selector } }],
  "NetworkPolicy port": [NetworkPolicy, { spec: { podSelector: {}, ingress: [{ ports: [{ port: 70000 }] }] } }],
  "NetworkPolicy block": [
    NetworkPolicy,
    { spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "x" } }] }] } },
  ],
  "Ingress without rules": [Ingress, { spec: {} }],
  "Ingress path type": [
    Ingress,
    {
      spec: {
        rules: [
          {
            http: {
              paths: [{ path: "/", pathType: "Magic", backend: { service: { name: "s", port: { number: 1 } } } }],
            },
          },
        ],
      },
    },
  ],
  "PersistentVolumeClaim without modes": [
    PersistentVolumeClaim,
    { spec: { resources: { requests: { storage: "1Gi" } } } },
  ],
  "PersistentVolumeClaim without storage": [PersistentVolumeClaim, { spec: { accessModes: ["ReadWriteOnce"] } }],
  "PersistentVolumeClaim quantity": [
    PersistentVolumeClaim,
    { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "much" } } } },
  ],
  "PriorityClass of the system": [PriorityClass, { value: 2000000001 }],
  "Namespace finalizer": [Namespace, { spec: { finalizers: ["x"] } }],
  "Pod without containers": pod({ containers: [] }),
  "Pod container without a name": pod({ containers: [{ image: "i" }] }),
  "Pod container without an image": pod({ containers: [{ name: "c" }] }),
  "Pod container twice": pod({ containers: [container, container] }),
  "Pod container name": pod({ containers: [{ name: "A_b", image: "i" }] }),
  "Pod restart policy": pod({ restartPolicy: "Sometimes" }),
  "Pod container port": pod({ containers: [{ ...container, ports: [{ containerPort: 0 }] }] }),
  "Pod environment": pod({ containers: [{ ...container, env: [{ name: "" }] }] }),
  "Pod volume without a name": pod({ volumes: [{ emptyDir: {} }] }),
  "Pod mount of a missing volume": pod({
    containers: [{ ...container, volumeMounts: [{ name: "v", mountPath: "/x" }] }],
  }),
  "Pod resources": pod({ containers: [{ ...container, resources: { requests: { cpu: "x" } } }] }),
  "Pod request beyond its limit": pod({
    containers: [{ ...container, resources: { requests: { cpu: "2" }, limits: { cpu: "1" } } }],
  }),
  "Pod pull policy": pod({ containers: [{ ...container, imagePullPolicy: "Maybe" }] }),
  "Pod deadline": pod({ activeDeadlineSeconds: 0 }),
  "Pod DNS policy": pod({ dnsPolicy: "Magic" }),
  "Pod with an unknown member": pod({ colour: "red" }),
};

export const kindCases: AnswerCases = {
  ...casesOf("accepted", RIGHT, async (probe, [type, object]) => {
    await probe.create(type, { metadata: { name: "a" }, ...object });
  }),
  ...casesOf("refused", WRONG, async (probe, [type, object]) => {
    await probe.create(type, { metadata: { name: type.namespaced ? "a" : `a-${probe.namespace}` }, ...object });
  }),
  "selectors do not change": async (probe) => {
    await probe.create(Deployment, { metadata: { name: "a" }, ...workload({}) });
    await probe.patch(Deployment, "a", {
      type: "merge",
      body: { spec: { selector: { matchLabels: { app: "b" } }, template: { metadata: { labels: { app: "b" } } } } },
    });
    await probe.create(Job, { metadata: { name: "j" }, spec: { template: jobTemplate(), suspend: true } });
    await probe.patch(Job, "j", { type: "merge", body: { spec: { completions: 5 } } });
    await probe.patch(Job, "j", { type: "merge", body: { spec: { suspend: false } } });
    await probe.patch(Job, "j", {
      type: "merge",
      body: { spec: { template: { spec: { restartPolicy: "OnFailure" } } } },
    });
  },
  "a Secret keeps its type": async (probe) => {
    await probe.create(Secret, { metadata: { name: "a" } });
    await probe.patch(Secret, "a", { type: "merge", body: { type: "example.com/other" } });
  },
  "a claim keeps its spec": async (probe) => {
    const claim = { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } };
    await probe.create(PersistentVolumeClaim, { metadata: { name: "a" }, ...claim });
    await probe.patch(PersistentVolumeClaim, "a", { type: "merge", body: { spec: { accessModes: ["ReadOnlyMany"] } } });
  },
  "generation of a Deployment": async (probe) => {
    await probe.create(Deployment, { metadata: { name: "a" }, ...workload({}) });
    await probe.patch(Deployment, "a", { type: "merge", body: { spec: { replicas: 2 } } });
    await probe.patch(Deployment, "a", { type: "merge", body: { metadata: { labels: { x: "y" } } } });
    await probe.patch(Deployment, "a", { type: "merge", body: { status: { replicas: 5 } } });
    await probe.patch(Deployment, "a", { type: "merge", body: { status: { replicas: 5 } } }, { subresource: "status" });
  },
};
