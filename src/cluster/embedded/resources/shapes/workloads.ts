import type { JsonObject } from "../../../../base/json.ts";
import { podSpec, podStatus, podTemplate } from "./pod.ts";
import {
  conditions,
  flag,
  labelSelector,
  listAtomic,
  listMap,
  object,
  objectMeta,
  or,
  portOrName,
  text,
  whole,
} from "./shape.ts";

const status = object({ conditions });
const count: JsonObject = { type: "integer", minimum: 0 };

export const pod = object({ spec: podSpec(), status: podStatus }, { required: ["spec"] });

export const podTemplateObject = object({ template: podTemplate() });

export const deployment = object(
  {
    spec: object(
      {
        replicas: or(count, 1),
        selector: labelSelector,
        template: podTemplate(["Always"]),
        strategy: or(
          object({
            type: { type: "string", enum: ["RollingUpdate", "Recreate"], default: "RollingUpdate" },
            rollingUpdate: object({ maxUnavailable: portOrName, maxSurge: portOrName }),
          }),
          {},
        ),
        revisionHistoryLimit: or(whole, 10),
        progressDeadlineSeconds: or(whole, 600),
        minReadySeconds: count,
        paused: flag,
      },
      { required: ["selector", "template"] },
    ),
    status,
  },
  { required: ["spec"] },
);

export const replicaSet = object(
  {
    spec: object(
      { replicas: or(count, 1), selector: labelSelector, template: podTemplate(["Always"]) },
      { required: ["selector"] },
    ),
    status,
  },
  { required: ["spec"] },
);

const claim = object({
  metadata: objectMeta,
  spec: object({ accessModes: listAtomic(text), volumeMode: or(text, "Filesystem") }),
});

export const statefulSet = object(
  {
    spec: object(
      {
        replicas: or(count, 1),
        selector: labelSelector,
        template: podTemplate(["Always"]),
        serviceName: or(text, ""),
        podManagementPolicy: or(text, "OrderedReady"),
        updateStrategy: or(
          object({
            type: { type: "string", enum: ["RollingUpdate", "OnDelete"], default: "RollingUpdate" },
            rollingUpdate: object({ partition: or(whole, 0) }),
          }),
          {},
        ),
        revisionHistoryLimit: or(whole, 10),
        volumeClaimTemplates: listAtomic(claim),
        persistentVolumeClaimRetentionPolicy: or(
          object({ whenDeleted: or(text, "Retain"), whenScaled: or(text, "Retain") }),
          {},
        ),
      },
      { required: ["selector", "template"] },
    ),
    status,
  },
  { required: ["spec"] },
);

export const daemonSet = object(
  {
    spec: object(
      {
        selector: labelSelector,
        template: podTemplate(["Always"]),
        updateStrategy: or(
          object({
            type: { type: "string", enum: ["RollingUpdate", "OnDelete"], default: "RollingUpdate" },
            rollingUpdate: object({ maxUnavailable: portOrName, maxSurge: portOrName }),
          }),
          {},
        ),
        revisionHistoryLimit: or(whole, 10),
      },
      { required: ["selector", "template"] },
    ),
    status,
  },
  { required: ["spec"] },
);

const jobSpec = object(
  {
    parallelism: count,
    completions: count,
    backoffLimit: or(count, 6),
    completionMode: or(text, "NonIndexed"),
    suspend: or(flag, false),
    podReplacementPolicy: text,
    manualSelector: or(flag, false),
    selector: labelSelector,
    template: podTemplate(["OnFailure", "Never"]),
  },
  { required: ["template"] },
);

export const job = object({ spec: jobSpec, status }, { required: ["spec"] });

export const cronJob = object(
  {
    spec: object(
      {
        schedule: { type: "string", minLength: 1 },
        concurrencyPolicy: { type: "string", enum: ["Allow", "Forbid", "Replace"], default: "Allow" },
        suspend: or(flag, false),
        successfulJobsHistoryLimit: or(whole, 3),
        failedJobsHistoryLimit: or(whole, 1),
        // Defaults of a Job are filled in when the Job is made of it, only those of its pods are seen here.
        jobTemplate: object(
          {
            metadata: or(objectMeta, {}),
            spec: object(
              {
                template: object(
                  { metadata: or(objectMeta, {}), spec: podSpec(["OnFailure", "Never"]) },
                  { required: ["spec"] },
                ),
              },
              { required: ["template"] },
            ),
          },
          { required: ["spec"] },
        ),
      },
      { required: ["schedule", "jobTemplate"] },
    ),
    status: object({ active: listAtomic(object({ name: text })) }),
  },
  { required: ["spec"] },
);

export const service = object({
  spec: object({
    type: {
      type: "string",
      enum: ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
      default: "ClusterIP",
    },
    sessionAffinity: or(text, "None"),
    selector: { type: "object", additionalProperties: text, "x-kubernetes-map-type": "atomic" },
    ports: listMap(
      ["port", "protocol"],
      object(
        {
          name: text,
          port: { type: "integer", minimum: 1, maximum: 65_535 },
          protocol: or(text, "TCP"),
          targetPort: portOrName,
        },
        { required: ["port"] },
      ),
    ),
  }),
  status: object({ conditions }),
});

export const persistentVolumeClaim = object(
  { spec: object({ accessModes: listAtomic(text), volumeMode: or(text, "Filesystem") }), status },
  { required: ["spec"] },
);
