import type { SourceFile } from "../../src/packs/artifact/source-directory.ts";
import { type Random, integerBetween } from "../../src/base/random.ts";

/** Shape of a generated bundle in the manner of large public ones (operators with huge CRDs, monitoring stacks, service meshes). */
export interface BundleShape {
  readonly crds: number;
  /** Size of each CRD, bytes (roughly). */
  readonly crdBytes: number;
  readonly customResourcesPerCrd: number;
  readonly configMaps: number;
  readonly deployments: number;
  readonly clusterRoles: number;
  readonly webhooks: number;
}

const NAMESPACE = "platform-tools";

/** Files of one bundle: CRDs in one big file each, everything else mixed in a few multi-document files. */
export function publicStyleBundle(shape: BundleShape, random: Random): readonly SourceFile[] {
  const files: SourceFile[] = [];
  const rest: string[] = [];
  for (let c = 0; c < shape.crds; c++) {
    files.push({ file: `crds/${plural(c)}.yaml`, text: crd(c, shape.crdBytes, random) });
    for (let i = 0; i < shape.customResourcesPerCrd; i++) rest.push(customResource(c, i));
  }
  for (let i = 0; i < shape.configMaps; i++) rest.push(configMap(i, random));
  for (let i = 0; i < shape.clusterRoles; i++) rest.push(clusterRole(i), serviceAccount(i), clusterRoleBinding(i));
  for (let i = 0; i < shape.deployments; i++) rest.push(deployment(i), service(i));
  for (let i = 0; i < shape.webhooks; i++) rest.push(webhook(i));
  const perFile = 40;
  for (let i = 0; i < rest.length; i += perFile)
    files.push({
      file: `manifests/part-${String(i / perFile).padStart(3, "0")}.yaml`,
      text: rest.slice(i, i + perFile).join("---\n"),
    });
  return files;
}

function kind(c: number): string {
  return `Widget${c}`;
}

function plural(c: number): string {
  return `widget${c}s`;
}

function crd(c: number, bytes: number, random: Random): string {
  const lines: string[] = [];
  let size = 0;
  for (let field = 0; size < bytes; field++) {
    const text = [
      `                field${field}:`,
      `                  description: >-`,
      `                    Field ${field} of the widget, ${words(random, 24)}.`,
      `                  type: object`,
      `                  properties:`,
      `                    enabled: { type: boolean }`,
      `                    limits:`,
      `                      type: object`,
      `                      additionalProperties:`,
      `                        anyOf: [{ type: integer }, { type: string }]`,
      `                        x-kubernetes-int-or-string: true`,
      `                    items:`,
      `                      type: array`,
      `                      items: { type: string, maxLength: 253 }`,
    ].join("\n");
    lines.push(text);
    size += text.length;
  }
  return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: ${plural(c)}.tools.example.org
spec:
  group: tools.example.org
  names: { kind: ${kind(c)}, listKind: ${kind(c)}List, plural: ${plural(c)}, singular: widget${c} }
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
${lines.join("\n")}
            status: { type: object, x-kubernetes-preserve-unknown-fields: true }
`;
}

function customResource(c: number, i: number): string {
  return `apiVersion: tools.example.org/v1
kind: ${kind(c)}
metadata: { name: instance-${i}, namespace: ${NAMESPACE} }
spec:
  field0: { enabled: true, items: [a, b], limits: { cpu: 100m, count: 3 } }
`;
}

function configMap(i: number, random: Random): string {
  return `apiVersion: v1
kind: ConfigMap
metadata: { name: config-${i}, namespace: ${NAMESPACE} }
data:
  config.toml: |
    [server]
    name = "${words(random, 3)}"
    workers = ${integerBetween(random, 1, 64)}
  mode: "0644"
`;
}

function clusterRole(i: number): string {
  return `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: tools-${i} }
rules:
  - apiGroups: [tools.example.org]
    resources: ["*"]
    verbs: [get, list, watch]
`;
}

function serviceAccount(i: number): string {
  return `apiVersion: v1
kind: ServiceAccount
metadata: { name: tools-${i}, namespace: ${NAMESPACE} }
`;
}

function clusterRoleBinding(i: number): string {
  return `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: tools-${i} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tools-${i} }
subjects:
  - { kind: ServiceAccount, name: tools-${i}, namespace: ${NAMESPACE} }
`;
}

function deployment(i: number): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: tool-${i}, namespace: ${NAMESPACE} }
spec:
  replicas: 2
  selector: { matchLabels: { app: tool-${i} } }
  template:
    metadata: { labels: { app: tool-${i} } }
    spec:
      containers:
        - name: main
          image: registry.example.org/tool:${i}
          ports: [{ containerPort: 8080 }]
          resources: { limits: { cpu: 500m, memory: 128Mi } }
          volumeMounts: [{ name: config, mountPath: /etc/tool }]
      volumes:
        - name: config
          configMap: { name: config-${i}, defaultMode: 0644 }
`;
}

function service(i: number): string {
  return `apiVersion: v1
kind: Service
metadata: { name: tool-${i}, namespace: ${NAMESPACE} }
spec:
  selector: { app: tool-${i} }
  ports: [{ port: 80, targetPort: 8080 }]
`;
}

function webhook(i: number): string {
  return `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: { name: tool-${i}.tools.example.org }
webhooks:
  - name: check-${i}.tools.example.org
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    clientConfig: { service: { name: tool-${i}, namespace: ${NAMESPACE} } }
    rules:
      - { apiGroups: [tools.example.org], apiVersions: [v1], operations: [CREATE], resources: ["${plural(0)}"] }
`;
}

const WORDS = [
  "alpha",
  "broker",
  "cluster",
  "daemon",
  "edge",
  "fleet",
  "gateway",
  "hub",
  "index",
  "journal",
  "kernel",
  "lease",
];

function words(random: Random, count: number): string {
  return Array.from({ length: count }, () => WORDS[integerBetween(random, 0, WORDS.length - 1)]).join(" ");
}
