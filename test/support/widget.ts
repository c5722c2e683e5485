import type { CustomResourceDefinitionObject } from "../../src/api/builtin.ts";
import type { KubeObject } from "../../src/api/object.ts";
import type { ResourceType } from "../../src/api/resource-type.ts";

/** A custom resource for tests of the API. */
export interface WidgetObject extends KubeObject {
  readonly spec: { readonly size: number; readonly color?: string; readonly replicas?: number };
  readonly status?: { readonly replicas?: number; readonly conditions?: readonly object[] };
}

export const Widget: ResourceType<WidgetObject> = {
  group: "example.com",
  version: "v1",
  resource: "widgets",
  kind: "Widget",
  namespaced: true,
};

/** Its definition: status and scale subresources, printer columns, a default, a minimum. */
export const widgetCrd: Omit<CustomResourceDefinitionObject, "status"> = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList", shortNames: ["wd"] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
        },
        additionalPrinterColumns: [
          { name: "Size", type: "integer", jsonPath: ".spec.size" },
          { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: "Color", type: "string", jsonPath: ".spec.color", priority: 1 },
        ],
        schema: {
          openAPIV3Schema: {
            type: "object",
            description: "A widget of the shop.",
            properties: {
              spec: {
                type: "object",
                required: ["size"],
                properties: {
                  size: { type: "integer", minimum: 1, description: "How big it is." },
                  color: { type: "string", default: "blue" },
                  replicas: { type: "integer" },
                },
              },
              status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
            },
          },
        },
      },
    ],
  },
};
