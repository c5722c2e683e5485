import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { load } from "js-yaml";
import type { JsonObject } from "../../base/json.ts";
import type { ResourceType } from "../resource-type.ts";
import type { KubeObject } from "../object.ts";

/** An `apiextensions.k8s.io/v1` CustomResourceDefinition. */
export interface CustomResourceDefinition extends KubeObject {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly spec: {
    readonly group: string;
    readonly scope: "Namespaced" | "Cluster";
    readonly names: {
      readonly kind: string;
      readonly listKind?: string;
      readonly plural: string;
      readonly singular?: string;
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
    };
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly storage: boolean;
      readonly schema: { readonly openAPIV3Schema: JsonObject };
      readonly subresources?: JsonObject;
      readonly additionalPrinterColumns?: readonly JsonObject[];
    }[];
  };
  readonly status?: JsonObject;
}

/** The served resource of {@link CustomResourceDefinition}. */
export const CustomResourceDefinition: ResourceType<CustomResourceDefinition> = {
  group: "apiextensions.k8s.io",
  version: "v1",
  resource: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
};

/** Folder of the CRD sources, beside `src/`. */
const CRDS = new URL("../../../crds/", import.meta.url);

/** Every CRD of the system, from `crds/`, sorted by file name. About 25 ms; a process calls it once. */
export function loadCrds(): readonly CustomResourceDefinition[] {
  return readdirSync(fileURLToPath(CRDS))
    .filter((name) => name.endsWith(".yaml"))
    .toSorted()
    .map((name) => load(readFileSync(new URL(name, CRDS), "utf8")) as CustomResourceDefinition);
}
