import { describe, expect, it } from "vitest";
import { readinessOf } from "./readiness.ts";

const context = { waitsForFirstConsumer: (name: string | undefined) => name === "wffc" || name === undefined };

function say(apiVersion: string, kind: string, parts: object, metadata: object = {}): string {
  const readiness = readinessOf(
    { apiVersion, kind, metadata: { name: "x", generation: 2, ...metadata }, ...parts },
    context,
  );
  return readiness.state === "Ready" ? "Ready" : `${readiness.state}: ${readiness.reason}`;
}

const deployment = (status: object, spec: object = { replicas: 2 }) => say("apps/v1", "Deployment", { spec, status });

describe("readinessOf", () => {
  it.each([
    ["Waiting: its controller has not seen it yet", deployment({})],
    [
      "Waiting: generation 2 is not observed yet",
      deployment({ observedGeneration: 1, updatedReplicas: 2, availableReplicas: 2, replicas: 2 }),
    ],
    [
      "Waiting: 1 of 2 replicas are updated",
      deployment({ observedGeneration: 2, updatedReplicas: 1, availableReplicas: 2, replicas: 2 }),
    ],
    [
      "Waiting: 1 old replicas are still there",
      deployment({ observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 3 }),
    ],
    [
      "Waiting: 1 of 2 replicas are available",
      deployment({ observedGeneration: 2, updatedReplicas: 2, availableReplicas: 1, replicas: 2 }),
    ],
    ["Ready", deployment({ observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 2 })],
    ["Ready", deployment({ observedGeneration: 2 }, { replicas: 0 })],
    [
      "Failed: stuck",
      deployment({
        observedGeneration: 2,
        conditions: [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: "stuck" }],
      }),
    ],
    ["Ready", say("apps/v1", "StatefulSet", { spec: { replicas: 0 }, status: { observedGeneration: 2 } })],
    [
      "Waiting: 1 of 2 replicas are ready",
      say("apps/v1", "StatefulSet", { spec: { replicas: 2 }, status: { observedGeneration: 2, readyReplicas: 1 } }),
    ],
    [
      "Waiting: 0 of 1 replicas are updated",
      say("apps/v1", "StatefulSet", {
        spec: { replicas: 3, updateStrategy: { rollingUpdate: { partition: 2 } } },
        status: { observedGeneration: 2, readyReplicas: 3 },
      }),
    ],
    [
      "Ready",
      say("apps/v1", "StatefulSet", {
        spec: { replicas: 3, updateStrategy: { type: "OnDelete" } },
        status: { observedGeneration: 2, readyReplicas: 3 },
      }),
    ],
    ["Ready", say("apps/v1", "DaemonSet", { spec: {}, status: { observedGeneration: 2, desiredNumberScheduled: 0 } })],
    [
      "Waiting: 1 of 3 pods are available",
      say("apps/v1", "DaemonSet", {
        spec: {},
        status: { observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 1 },
      }),
    ],
    [
      "Failed: BackoffLimitExceeded",
      say("batch/v1", "Job", {
        status: { conditions: [{ type: "Failed", status: "True", reason: "BackoffLimitExceeded" }] },
      }),
    ],
    ["Ready", say("batch/v1", "Job", { status: { conditions: [{ type: "Complete", status: "True" }] } })],
    ["Ready", say("batch/v1", "CronJob", { spec: { suspend: true } })],
    ["Ready", say("v1", "PersistentVolumeClaim", { spec: {}, status: { phase: "Pending" } })],
    [
      "Waiting: the claim is not bound",
      say("v1", "PersistentVolumeClaim", { spec: { storageClassName: "fast" }, status: { phase: "Pending" } }),
    ],
    ["Waiting: condition Established is missing", say("apiextensions.k8s.io/v1", "CustomResourceDefinition", {})],
    ["Ready", say("v1", "Service", { spec: { type: "LoadBalancer" } })],
    [
      "Waiting: has no load balancer address yet",
      say("v1", "Service", { spec: { type: "LoadBalancer" } }, { annotations: { "seam.ontai.dev/wait": "true" } }),
    ],
    ["Ready", say("apps/v1", "Deployment", { status: {} }, { annotations: { "seam.ontai.dev/wait": "false" } })],
    ["Ready", say("example.org/v1", "Widget", { status: { conditions: [{ type: "Ready", status: "False" }] } })],
    [
      "Waiting: Ready: warming up",
      say(
        "example.org/v1",
        "Widget",
        { status: { conditions: [{ type: "Ready", status: "False", message: "warming up" }] } },
        { annotations: { "seam.ontai.dev/wait": "true" } },
      ),
    ],
  ])("%s", (expected, said) => {
    expect(said).toBe(expected);
  });
});
