import { BUCKETS, bucketOf, type Bucket } from "./bucket.ts";
import { isForbiddenNamespace } from "./forbidden.ts";
import { MAX_DOCUMENTS } from "./limits.ts";
import {
  groupOf,
  objectIdentity,
  objectText,
  packDocument,
  type PackDocument,
  type PackObject,
} from "./pack-object.ts";
import type { PackProblem } from "./pack-problem.ts";
import { builtinScope, type Scope, scopesFromCrds } from "./scope.ts";

/** Marks a Namespace that the packer added because objects need it: it must exist, and an existing one is left as it is. */
export const INJECTED_NAMESPACE = "seam.ontai.dev/injected";

/** A checked object with where it was written. */
export interface SourceObject {
  readonly object: PackObject;
  readonly file: string;
  readonly line: number;
  readonly placedIn?: Bucket;
}

/** What splitting needs to know beyond the objects. */
export interface AssembleOptions {
  /** For namespaced objects that name no namespace; without it they are a problem. */
  readonly defaultNamespace?: string;
  /** `group/Kind` of cluster-scoped kinds that neither the built-in table nor a CRD of the pack knows. */
  readonly clusterScopedKinds?: readonly string[];
}

/** Sorts objects into buckets, injects namespaces, and finds everything that only shows when all objects are seen together (dispatcher §7.1). */
export function assemble(
  sources: readonly SourceObject[],
  options: AssembleOptions,
): {
  readonly documents: readonly PackDocument[];
  readonly problems: readonly PackProblem[];
  readonly warnings: readonly PackProblem[];
} {
  const problems: PackProblem[] = [];
  const warnings: PackProblem[] = [];
  const crdScopes = scopesFromCrds(sources.map(({ object }) => object));
  const listed = new Set(options.clusterScopedKinds ?? []);
  const seen = new Map<string, SourceObject>();
  const placed: { readonly bucket: Bucket; readonly object: PackObject }[] = [];

  for (const source of sources) {
    const group = groupOf(source.object);
    const kind = `${group}/${source.object.kind}`;
    const scope =
      builtinScope(group, source.object.kind) ?? crdScopes.get(kind) ?? scopeByAuthor(source, listed.has(kind));
    const who = objectText({ kind: source.object.kind, ...source.object.metadata });
    const add = (reason: string, text: string, remedy: string): void => {
      problems.push({ file: source.file, line: source.line, reason, text: `${who}: ${text}`, remedy });
    };
    if (scope === undefined) {
      add(
        "ScopeUnknown",
        `kind ${source.object.kind} of group ${group || "core"} is not known and names no namespace`,
        `add its CustomResourceDefinition to the pack, set metadata.namespace, or place the file under cluster-scoped/`,
      );
      continue;
    }
    const object = withScope(source, scope, options, add, warnings);
    if (object === undefined) continue;
    const identity = objectIdentity(object);
    const other = seen.get(identity);
    if (other) {
      add("Duplicate", `is already defined at ${other.file}:${other.line}`, "remove one of the two");
      continue;
    }
    seen.set(identity, source);
    const bucket = bucketOf(group, object.kind, scope === "Namespaced");
    if (source.placedIn !== undefined && source.placedIn !== bucket) {
      add("WrongBucket", `belongs to bucket ${bucket}, not ${source.placedIn}`, `move it to ${bucket}/`);
      continue;
    }
    placed.push({ bucket, object });
  }
  const injected = missingNamespaces(placed.map(({ object }) => object)).map((object) => ({
    bucket: "workload" as const,
    object,
  }));
  const all = [...injected, ...placed];
  if (all.length > MAX_DOCUMENTS)
    problems.push({
      file: ".",
      line: 1,
      reason: "TooManyObjects",
      text: `the pack has ${all.length} objects, more than ${MAX_DOCUMENTS}`,
      remedy: "split the pack",
    });
  const documents = BUCKETS.flatMap((bucket) =>
    all.filter((entry) => entry.bucket === bucket).map(({ object }) => packDocument(object, bucket)),
  );
  return { documents, problems, warnings };
}

/** An unknown kind is what its author says: namespaced when it names a namespace, cluster-scoped when it was listed or placed so. */
function scopeByAuthor(source: SourceObject, listed: boolean): Scope | undefined {
  if (listed || source.placedIn === "cluster-scoped") return "Cluster";
  return source.object.metadata.namespace === undefined ? undefined : "Namespaced";
}

function withScope(
  source: SourceObject,
  scope: Scope,
  options: AssembleOptions,
  add: (reason: string, text: string, remedy: string) => void,
  warnings: PackProblem[],
): PackObject | undefined {
  const { object } = source;
  const { namespace, ...metadata } = object.metadata;
  if (scope === "Cluster") {
    if (namespace === undefined) return object;
    warnings.push({
      file: source.file,
      line: source.line,
      reason: "NamespaceDropped",
      text: `${object.kind} ${object.metadata.name}: kind is cluster-scoped, metadata.namespace ${namespace} is dropped`,
      remedy: "remove metadata.namespace",
    });
    return { ...object, metadata };
  }
  if (namespace !== undefined) return object;
  if (options.defaultNamespace === undefined) {
    add("NamespaceMissing", "names no namespace", "set metadata.namespace");
    return undefined;
  }
  return { ...object, metadata: { ...object.metadata, namespace: options.defaultNamespace } };
}

/** A minimal Namespace for every one that is referenced and not declared, except `default` and `kube-*`; each once, in name order. */
function missingNamespaces(objects: readonly PackObject[]): readonly PackObject[] {
  const declared = new Set(
    objects.filter((o) => o.kind === "Namespace" && groupOf(o) === "").map((o) => o.metadata.name),
  );
  const referenced = new Set(objects.flatMap(({ metadata: { namespace } }) => (namespace ? [namespace] : [])));
  return [...referenced]
    .filter((name) => !declared.has(name) && !isPreexisting(name) && !isForbiddenNamespace(name))
    .sort()
    .map((name) => ({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, annotations: { [INJECTED_NAMESPACE]: "true" } },
    }));
}

function isPreexisting(name: string): boolean {
  return name === "default" || name.startsWith("kube-");
}
