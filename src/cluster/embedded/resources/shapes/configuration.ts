import {
  conditions,
  flag,
  labelSelector,
  listAtomic,
  listMap,
  object,
  objectMeta,
  open,
  or,
  portOrName,
  stringMap,
  text,
  whole,
} from "./shape.ts";

export const plain = object({ spec: open, status: object({ conditions }) });

export const namespace = object({ spec: object({ finalizers: listAtomic(text) }), status: object({ conditions }) });

export const node = object({
  spec: object({ taints: listAtomic(open), podCIDRs: { type: "array", items: text, "x-kubernetes-list-type": "set" } }),
  status: object({
    conditions: listMap(["type"], open),
    addresses: listMap(["type"], open),
  }),
});

export const configMap = object({ data: stringMap, binaryData: stringMap, immutable: flag });

export const secret = object({ data: stringMap, stringData: stringMap, type: text, immutable: flag });

export const serviceAccount = object({
  secrets: listMap(["name"], open),
  imagePullSecrets: listMap(["name"], open),
  automountServiceAccountToken: flag,
});

export const event = object({ involvedObject: open, reason: text, message: text, type: text, count: whole });

export const lease = object({
  spec: object({ holderIdentity: text, leaseDurationSeconds: whole, leaseTransitions: whole }),
});

const policyRule = object({
  verbs: listAtomic(text),
  apiGroups: listAtomic(text),
  resources: listAtomic(text),
  resourceNames: listAtomic(text),
  nonResourceURLs: listAtomic(text),
});

export const role = object({
  rules: { ...listAtomic(policyRule), nullable: true },
  aggregationRule: object({ clusterRoleSelectors: listAtomic(labelSelector) }),
});

export const roleBinding = object(
  {
    subjects: listAtomic(
      object({ kind: text, name: text, apiGroup: text, namespace: text }, { required: ["kind", "name"] }),
    ),
    roleRef: {
      ...object({ apiGroup: text, kind: text, name: text }, { required: ["kind", "name"] }),
      "x-kubernetes-map-type": "atomic",
    },
  },
  { required: ["roleRef"] },
);

const httpPath = object({
  path: text,
  pathType: text,
  backend: object({ service: object({ name: text, port: open }) }),
});

export const ingress = object({
  spec: object({
    ingressClassName: text,
    rules: listAtomic(object({ host: text, http: object({ paths: listAtomic(httpPath) }) })),
    tls: listAtomic(open),
  }),
});

export const networkPolicy = object({
  spec: object({
    podSelector: or(labelSelector, {}),
    policyTypes: listAtomic(text),
    ingress: listAtomic(object({ ports: listAtomic(object({ protocol: or(text, "TCP"), port: portOrName })) })),
    egress: listAtomic(object({ ports: listAtomic(object({ protocol: or(text, "TCP"), port: portOrName })) })),
  }),
});

export const disruptionBudget = object({
  spec: object({ minAvailable: portOrName, maxUnavailable: portOrName, selector: labelSelector }),
  status: object({ conditions }),
});

export const autoscaler = object({
  spec: object({ minReplicas: or(whole, 1), maxReplicas: whole, scaleTargetRef: open, metrics: listAtomic(open) }),
  status: object({ conditions }),
});

export const storageClass = object(
  {
    provisioner: text,
    parameters: stringMap,
    reclaimPolicy: or(text, "Delete"),
    volumeBindingMode: or(text, "Immediate"),
    allowVolumeExpansion: flag,
  },
  { required: ["provisioner"] },
);

export const priorityClass = object(
  { value: whole, globalDefault: flag, preemptionPolicy: or(text, "PreemptLowerPriority") },
  { required: ["value"] },
);

export const customResourceDefinition = object(
  {
    metadata: objectMeta,
    spec: object(
      {
        group: text,
        scope: { type: "string", enum: ["Namespaced", "Cluster"] },
        names: object(
          {
            plural: text,
            singular: text,
            kind: text,
            listKind: text,
            shortNames: listAtomic(text),
            categories: listAtomic(text),
          },
          { required: ["plural", "kind"] },
        ),
        versions: listAtomic(
          object(
            {
              name: text,
              served: flag,
              storage: flag,
              // A schema may hold tens of thousands of nodes: it is checked by the structural check, not member by member.
              schema: open,
            },
            { required: ["name", "served", "storage"] },
          ),
        ),
        conversion: or(object({ strategy: { type: "string", enum: ["None", "Webhook"] } }), { strategy: "None" }),
      },
      { required: ["group", "names", "scope", "versions"] },
    ),
    status: object({ conditions: listMap(["type"], open) }),
  },
  { required: ["spec"] },
);
