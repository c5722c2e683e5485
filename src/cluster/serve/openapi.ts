import { apiVersionOf } from "../../api/resource-type.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../base/json.ts";
import type { DiscoveredResource } from "../cluster.ts";
import type { BuiltInSchemas } from "./built-in-schemas.ts";

type Dialect = "v2" | "v3";

/** Where schemas come from. */
export interface SchemaSource {
  /** OpenAPI v3 schema of a resource's objects. */
  schemaOf(resource: DiscoveredResource): JsonObject;
  /** Members of built-in kinds, which the cluster keeps open. */
  readonly builtIn: BuiltInSchemas;
}

const INFO = { title: "Kubernetes", version: "unversioned" } as const;
const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const GROUP_VERSION_KIND = "x-kubernetes-group-version-kind";

const text = (description: string): JsonObject => ({ type: "string", description });
const textMap = (description: string): JsonObject => ({
  type: "object",
  description,
  additionalProperties: { type: "string" },
});

/** Every object's metadata, for `kubectl explain` and client-side validation. */
const OBJECT_META_SCHEMA: JsonObject = {
  type: "object",
  description: "Metadata that every stored object has: its name, its labels, and what the server keeps about it.",
  properties: {
    name: text("Name, unique within the namespace. Cannot be changed."),
    generateName: text("Prefix from which the server makes a unique name when there is none."),
    namespace: text("Namespace of a namespaced object. Cannot be changed."),
    labels: textMap("Labels that selectors match."),
    annotations: textMap("Values that tools keep with the object; not matched by selectors."),
    uid: text("Unique in time and space. Set by the server."),
    resourceVersion: text("Version of the object, opaque; a write that carries it fails when the object has changed."),
    generation: {
      type: "integer",
      format: "int64",
      description: "Counts changes of the desired state. Set by the server.",
    },
    creationTimestamp: { ...text("When the object was created. Set by the server."), format: "date-time" },
    deletionTimestamp: { ...text("When the deletion was asked for. Set by the server."), format: "date-time" },
    deletionGracePeriodSeconds: {
      type: "integer",
      format: "int64",
      description: "Seconds until a graceful deletion ends.",
    },
    finalizers: {
      type: "array",
      description: "Whoever must act before the object goes.",
      items: { type: "string" },
    },
    ownerReferences: {
      type: "array",
      description: "Objects this one depends on; it is collected with the last of them.",
      items: {
        type: "object",
        required: ["apiVersion", "kind", "name", "uid"],
        properties: {
          apiVersion: text("API version of the owner."),
          kind: text("Kind of the owner."),
          name: text("Name of the owner."),
          uid: text("UID of the owner."),
          controller: { type: "boolean", description: "True for the managing controller." },
          blockOwnerDeletion: { type: "boolean", description: "True when a foreground deletion of the owner waits." },
        },
      },
    },
    managedFields: {
      type: "array",
      description: "Which manager set which field. Kept by the server.",
      items: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  },
};

const TYPE_META: Readonly<Record<"apiVersion" | "kind", JsonObject>> = {
  apiVersion: text("Group and version of this representation, for example apps/v1."),
  kind: text("Kind of this representation, in CamelCase."),
};

/** Members of OpenAPI v3 schemas that version 2 does not have. */
const NOT_IN_V2: ReadonlySet<string> = new Set(["oneOf", "anyOf", "not", "nullable"]);

/** Name of a kind's schema: the group backwards, the version, the kind. */
function schemaName(resource: DiscoveredResource): string {
  const group = resource.group === "" ? "core.api.k8s.io" : resource.group;
  return [...group.split(".").toReversed(), resource.version, resource.kind].join(".");
}

/** Name of the schema of a message: `corev1PodSpec` is `io.k8s.api.core.v1.PodSpec`. */
function messageName(id: string): string {
  if (id === "metav1ObjectMeta") return OBJECT_META;
  const [, group = "", version = "", name = ""] = /^([a-z]+)(v\d+)(\w+)$/.exec(id) ?? [];
  return `io.k8s.api.${group}.${version}.${name}`;
}

function reference(dialect: Dialect, name: string): JsonObject {
  return { $ref: dialect === "v3" ? `#/components/schemas/${name}` : `#/definitions/${name}` };
}

function withoutV3(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(withoutV3);
  if (!isJsonObject(value)) return value;
  const out: Record<string, JsonValue> = {};
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined && !(NOT_IN_V2.has(name) && !isSchemaMap(value))) out[name] = withoutV3(member);
  }
  return out;
}

/** A map from member names to schemas may have a member called `not`: nothing in it says `type` as text. */
function isSchemaMap(value: JsonObject): boolean {
  return typeof value["type"] !== "string" && Object.values(value).every(isJsonObject);
}

function objectSchema(source: SchemaSource, resource: DiscoveredResource, dialect: Dialect): JsonObject {
  const full = source.schemaOf(resource);
  const schema = dialect === "v3" ? full : withoutV3(full);
  const open = isJsonObject(schema) ? schema : {};
  const id = source.builtIn.idOf(apiVersionOf(resource), resource.kind);
  const known = id === undefined ? open : source.builtIn.schema(id, (other) => reference(dialect, messageName(other)));
  const properties = isJsonObject(known["properties"]) ? known["properties"] : {};
  const metadata = { allOf: [reference(dialect, OBJECT_META)], description: "Metadata of the object." };
  return {
    ...open,
    type: "object",
    properties: {
      ...properties,
      ...TYPE_META,
      metadata: dialect === "v3" ? metadata : reference(dialect, OBJECT_META),
    },
    [GROUP_VERSION_KIND]: [{ group: resource.group, version: resource.version, kind: resource.kind }],
  };
}

function listSchema(resource: DiscoveredResource, dialect: Dialect): JsonObject {
  return {
    type: "object",
    description: `A list of ${resource.kind}.`,
    required: ["items"],
    properties: {
      ...TYPE_META,
      metadata: { type: "object", description: "Version of the list and where its next page begins." },
      items: { type: "array", items: reference(dialect, schemaName(resource)) },
    },
    [GROUP_VERSION_KIND]: [{ group: resource.group, version: resource.version, kind: `${resource.kind}List` }],
  };
}

function parameter(
  dialect: Dialect,
  name: string,
  where: "query" | "path",
  description: string,
  type = "string",
): JsonObject {
  const shared = { name, in: where, description, ...(where === "path" ? { required: true } : {}), uniqueItems: true };
  return dialect === "v3" ? { ...shared, schema: { type } } : { ...shared, type };
}

/** Parameters whose presence tells kubectl what the server can do. */
function writeParameters(dialect: Dialect, patch: boolean): readonly JsonObject[] {
  return [
    parameter(dialect, "dryRun", "query", "All runs everything but the write."),
    parameter(dialect, "fieldManager", "query", "Who makes the change."),
    parameter(
      dialect,
      "fieldValidation",
      "query",
      "Ignore, Warn or Strict: what becomes of unknown and duplicate fields.",
    ),
    ...(patch ? [parameter(dialect, "force", "query", "Apply takes over fields of other managers.", "boolean")] : []),
  ];
}

const PATCH_TYPES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
] as const;

function operation(
  resource: DiscoveredResource,
  dialect: Dialect,
  action: string,
  input: { readonly write?: "post" | "put" | "patch"; readonly answer: string },
): JsonObject {
  const produces = ["application/json", "application/yaml"];
  const schema = reference(dialect, input.answer);
  const content = (types: readonly string[], body: JsonObject): JsonObject =>
    Object.fromEntries(types.map((type) => [type, { schema: body }]));
  const own = reference(dialect, schemaName(resource));
  const body = input.write === "patch" ? { type: "object" } : own;
  const consumes = input.write === "patch" ? PATCH_TYPES : produces;
  const parameters = input.write === undefined ? [] : writeParameters(dialect, input.write === "patch");
  return {
    description: `${action} ${resource.kind}`,
    operationId: `${action}${resource.kind}In${apiVersionOf(resource).replaceAll(/[^A-Za-z0-9]/g, "_")}`,
    "x-kubernetes-action": action,
    [GROUP_VERSION_KIND]: { group: resource.group, version: resource.version, kind: resource.kind },
    parameters:
      dialect === "v2" && input.write !== undefined
        ? [...parameters, { name: "body", in: "body", required: true, schema: body }]
        : parameters,
    responses: {
      "200":
        dialect === "v3" ? { description: "OK", content: content(produces, schema) } : { description: "OK", schema },
    },
    ...(dialect === "v2"
      ? { produces, consumes: [...consumes] }
      : input.write === undefined
        ? {}
        : { requestBody: { required: true, content: content(consumes, body) } }),
  };
}

function pathsOf(resource: DiscoveredResource, dialect: Dialect): Record<string, JsonObject> {
  const { group, version } = resource;
  const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  const collection = `${root}${resource.namespaced ? "/namespaces/{namespace}" : ""}/${resource.resource}`;
  const object = schemaName(resource);
  const namespace = resource.namespaced ? [parameter(dialect, "namespace", "path", "Namespace of the object.")] : [];
  const item = [parameter(dialect, "name", "path", "Name of the object."), ...namespace];
  const can = (verb: string): boolean => resource.verbs.includes(verb);
  const make = (action: string, input: Parameters<typeof operation>[3]): JsonObject =>
    operation(resource, dialect, action, input);
  const list = (): JsonObject => make("list", { answer: `${object}List` });
  const writes = {
    put: make("put", { write: "put", answer: object }),
    patch: make("patch", { write: "patch", answer: object }),
  };
  const paths: Record<string, JsonObject> = {
    [collection]: {
      parameters: namespace,
      ...(can("list") ? { get: list() } : {}),
      ...(can("create") ? { post: make("post", { write: "post", answer: object }) } : {}),
    },
  };
  if (can("get"))
    paths[`${collection}/{name}`] = {
      parameters: item,
      get: make("get", { answer: object }),
      ...writes,
      delete: make("delete", { answer: object }),
    };
  if (resource.subresources.includes("status"))
    paths[`${collection}/{name}/status`] = { parameters: item, get: make("get", { answer: object }), ...writes };
  if (resource.namespaced && can("list")) paths[`${root}/${resource.resource}`] = { parameters: [], get: list() };
  return paths;
}

/** OpenAPI v3 document of one group version that is served. */
export function openApiV3(
  source: SchemaSource,
  resources: readonly DiscoveredResource[],
  group: string,
  version: string,
): JsonObject {
  const own = resources.filter((resource) => resource.group === group && resource.version === version);
  const { paths, schemas } = contents(source, own, "v3");
  return { openapi: "3.0.0", info: INFO, paths, components: { schemas } };
}

/** OpenAPI v2 document of everything that is served. */
export function openApiV2(source: SchemaSource, resources: readonly DiscoveredResource[]): JsonObject {
  const { paths, schemas } = contents(source, resources, "v2");
  return { swagger: "2.0", info: INFO, paths, definitions: schemas };
}

function contents(
  source: SchemaSource,
  resources: readonly DiscoveredResource[],
  dialect: Dialect,
): { readonly paths: JsonObject; readonly schemas: JsonObject } {
  const schemas: Record<string, JsonObject> = { [OBJECT_META]: OBJECT_META_SCHEMA };
  let paths: Record<string, JsonObject> = {};
  for (const resource of resources) {
    const root = source.builtIn.idOf(apiVersionOf(resource), resource.kind);
    for (const id of root === undefined ? [] : source.builtIn.closure(root)) {
      if (id !== root)
        schemas[messageName(id)] ??= source.builtIn.schema(id, (other) => reference(dialect, messageName(other)));
    }
    schemas[schemaName(resource)] = objectSchema(source, resource, dialect);
    if (resource.verbs.includes("list")) schemas[`${schemaName(resource)}List`] = listSchema(resource, dialect);
    paths = Object.assign(paths, pathsOf(resource, dialect));
  }
  return { paths, schemas };
}

/** Paths of the group versions for the index `/openapi/v3`, such as `api/v1` and `apis/apps/v1`. */
export function openApiGroupVersions(
  resources: readonly DiscoveredResource[],
): readonly { readonly group: string; readonly version: string; readonly path: string }[] {
  const found = new Map<string, { group: string; version: string; path: string }>();
  for (const { group, version } of resources) {
    const path = group === "" ? `api/${version}` : `apis/${group}/${version}`;
    found.set(path, { group, version, path });
  }
  return [...found.values()];
}
