import type { JsonObject } from "../../../../base/json.ts";
import {
  conditions,
  flag,
  listAtomic,
  listMap,
  object,
  objectMeta,
  open,
  or,
  portOrName,
  text,
  whole,
} from "./shape.ts";

const httpGet = object({ path: or(text, "/"), port: portOrName, scheme: or(text, "HTTP") }, { required: ["port"] });

const probe = object({
  httpGet,
  tcpSocket: object({ port: portOrName }),
  grpc: object({ port: whole, service: or(text, "") }),
  timeoutSeconds: or(whole, 1),
  periodSeconds: or(whole, 10),
  successThreshold: or(whole, 1),
  failureThreshold: or(whole, 3),
});

const containerPort = object(
  { containerPort: { type: "integer", minimum: 1, maximum: 65_535 }, protocol: or(text, "TCP"), name: text },
  { required: ["containerPort"] },
);

const envVar = object(
  {
    name: text,
    value: text,
    valueFrom: object({ fieldRef: object({ apiVersion: or(text, "v1"), fieldPath: text }) }),
  },
  { required: ["name"] },
);

const container: JsonObject = object(
  {
    name: text,
    image: text,
    command: listAtomic(text),
    args: listAtomic(text),
    ports: listMap(["containerPort", "protocol"], containerPort),
    env: listMap(["name"], envVar),
    envFrom: listAtomic(open),
    resources: or(object({ limits: open, requests: open }), {}),
    volumeMounts: listMap(["mountPath"], object({ name: text, mountPath: text }, { required: ["name", "mountPath"] })),
    volumeDevices: listMap(["devicePath"], open),
    livenessProbe: probe,
    readinessProbe: probe,
    startupProbe: probe,
    lifecycle: object({ postStart: object({ httpGet }), preStop: object({ httpGet }) }),
    terminationMessagePath: or(text, "/dev/termination-log"),
    terminationMessagePolicy: or(text, "File"),
    imagePullPolicy: { type: "string", enum: ["Always", "IfNotPresent", "Never"] },
    securityContext: object({ runAsUser: whole, privileged: flag }),
  },
  { required: ["name"] },
);

const file = or(whole, 420);
const downwardItems = listAtomic(object({ fieldRef: object({ apiVersion: or(text, "v1") }) }));

const volume = object(
  {
    name: text,
    configMap: object({ defaultMode: file, items: listAtomic(open) }),
    secret: object({ defaultMode: file, items: listAtomic(open) }),
    projected: object({
      defaultMode: file,
      sources: listAtomic(
        object({
          serviceAccountToken: object({ expirationSeconds: or(whole, 3600) }),
          downwardAPI: object({ items: downwardItems }),
        }),
      ),
    }),
    downwardAPI: object({
      defaultMode: file,
      items: downwardItems,
    }),
    hostPath: object({ type: or(text, "") }),
    iscsi: object({ iscsiInterface: or(text, "default") }),
  },
  { required: ["name"] },
);

/** `v1.PodSpec` without the defaults of `restartPolicy`, which differ by owner. */
export function podSpec(restartPolicies: readonly string[] = ["Always", "OnFailure", "Never"]): JsonObject {
  return object(
    {
      containers: listMap(["name"], container, { minItems: 1 }),
      initContainers: listMap(["name"], container),
      ephemeralContainers: listMap(["name"], container),
      volumes: listMap(["name"], volume),
      imagePullSecrets: listMap(["name"], object({ name: text })),
      hostAliases: listMap(["ip"], object({ ip: text })),
      topologySpreadConstraints: listMap(["topologyKey", "whenUnsatisfiable"], open),
      tolerations: listAtomic(object({ key: text, operator: text, effect: text })),
      nodeSelector: { type: "object", additionalProperties: text, "x-kubernetes-map-type": "atomic" },
      restartPolicy: restartPolicies.includes("Always")
        ? { type: "string", enum: [...restartPolicies], default: "Always" }
        : { type: "string", enum: [...restartPolicies] },
      dnsPolicy: or(text, "ClusterFirst"),
      schedulerName: or(text, "default-scheduler"),
      securityContext: or(open, {}),
      terminationGracePeriodSeconds: or(whole, 30),
      serviceAccountName: text,
      hostNetwork: flag,
    },
    { required: ["containers"] },
  );
}

/** `v1.PodTemplateSpec`. */
export function podTemplate(restartPolicies?: readonly string[]): JsonObject {
  return object({ metadata: objectMeta, spec: podSpec(restartPolicies) }, { required: ["spec"] });
}

export const podStatus: JsonObject = object({
  phase: text,
  conditions,
  podIPs: listMap(["ip"], open),
  hostIPs: listAtomic(open),
  containerStatuses: listAtomic(open),
  initContainerStatuses: listAtomic(open),
});
