import type { PrinterColumn } from "../../../api/builtin.ts";
import type { Unstructured } from "../../../api/object.ts";
import type { JsonObject } from "../../../base/json.ts";
import type { DiscoveredResource } from "../../cluster.ts";
import type { JsonMap } from "../json/mutable-json.ts";
import type { NameRule } from "../metadata/names.ts";
import type { CheckExpression } from "../schema/cel/expression-check.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import type { FieldError } from "../status-errors.ts";

/** JSON paths (without the leading dot) of a scale subresource. */
export interface ScalePaths {
  readonly specReplicas: readonly string[];
  readonly statusReplicas: readonly string[];
  readonly labelSelector: readonly string[] | undefined;
}

/** What the rules of a kind may ask for. */
export interface KindContext {
  /** Wall clock, Unix milliseconds. */
  readonly now: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Checks a CEL expression of a schema. @throws Error naming what does not compile */
  readonly checkRule: CheckExpression;
  /** Compiles a CEL expression of admission and names the type of its result. @throws Error naming what does not compile */
  readonly compileAdmission: (expression: string) => string;
  /** Committed and accepted objects of a collection: what allocation (cluster IPs) must not collide with. */
  readonly objects: (collection: string) => Iterable<Unstructured>;
}

/** What a kind adds to the common write path (the registry "strategy" of the API server). */
export interface KindRules {
  /** Sets and clears fields of a new object before defaulting. */
  prepareCreate?(object: JsonMap, context: KindContext): void;
  /** Sets and clears fields of a changed object before defaulting. */
  prepareUpdate?(object: JsonMap, old: JsonMap, context: KindContext): void;
  /** Defaults that depend on other fields. */
  applyDefaults?(object: JsonMap, context: KindContext): void;
  /** Checks beyond the schema. */
  validate?(object: JsonMap, old: JsonMap | undefined, context: KindContext): FieldError[];
}

/** One version of one resource that the cluster serves, with everything the write path must know about it. */
export interface ServedResource extends DiscoveredResource {
  /** Id of the collection: all versions of a resource share one. */
  readonly collection: string;
  readonly storageVersion: string;
  readonly nameRule: NameRule;
  readonly statusSubresource: boolean;
  readonly scale: ScalePaths | undefined;
  /** `spec`: counts spec changes; `all`: counts every change outside metadata and status; `none`: no generation. */
  readonly generation: "spec" | "all" | "none";
  readonly selectableFields: ReadonlySet<string>;
  readonly printerColumns: readonly PrinterColumn[];
  /** The full schema of the object, metadata left open. */
  readonly schema: SchemaNode;
  /** JSON form of {@link schema} for OpenAPI. */
  readonly openApiSchema: JsonObject;
  /** True for kinds of a CRD. */
  readonly custom: boolean;
  /** Whether unknown members are dropped (custom resources) or kept (built-in kinds). */
  readonly prunes: boolean;
  /** Status of a new object whose status the client may not set. */
  readonly initialStatus: JsonObject | undefined;
  readonly rules: KindRules;
  /** Set while the CRD is being deleted: nothing new may be created. */
  readonly terminating: boolean;
}

/** Collection id of a resource. */
export function collectionId(group: string, resource: string): string {
  return `${group}/${resource}`;
}

/** Shows a stored object in the version of `resource` (conversion strategy None: only apiVersion differs). */
export function inVersion(resource: ServedResource, object: Unstructured): Unstructured {
  const apiVersion = resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}
