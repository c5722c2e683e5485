import { type Digest, digestOf } from "../../base/digest.ts";
import type { JsonObject } from "../../base/json.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { parseApiVersion } from "../../api/resource-type.ts";
import type { Bucket } from "./bucket.ts";

/** One manifest of a pack: any Kubernetes object as its author wrote it. */
export interface PackObject extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: PackObjectMeta;
}

/** The part of `metadata` a pack may rely on. */
export interface PackObjectMeta extends JsonObject {
  readonly name: string;
  /** Absent for cluster-scoped objects. */
  readonly namespace?: string;
  readonly labels?: { readonly [key: string]: string };
  readonly annotations?: { readonly [key: string]: string };
}

/** A manifest with its place in the artifact. */
export interface PackDocument {
  readonly object: PackObject;
  readonly bucket: Bucket;
  /** `sha256:` of the canonical JSON of `object` (dispatcher §8.4). */
  readonly contentHash: Digest;
}

/** A document of `object`. */
export function packDocument(object: PackObject, bucket: Bucket): PackDocument {
  return { object, bucket, contentHash: digestOf(canonicalJson(object)) };
}

/** What names an object whatever its API version: `group/Kind/namespace/name` (resources-seam §0.5 list key). */
export function identityOf(ref: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
}): string {
  return `${parseApiVersion(ref.apiVersion).group}/${ref.kind}/${ref.namespace ?? ""}/${ref.name}`;
}

/** {@link identityOf} of a manifest. */
export function objectIdentity(object: PackObject): string {
  const { namespace, name } = object.metadata;
  return identityOf({ apiVersion: object.apiVersion, kind: object.kind, namespace, name });
}

/** `Deployment hello/web` for people. */
export function objectText(ref: {
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
}): string {
  return ref.namespace ? `${ref.kind} ${ref.namespace}/${ref.name}` : `${ref.kind} ${ref.name}`;
}

/** API group of a manifest. */
export function groupOf(object: { readonly apiVersion: string }): string {
  return parseApiVersion(object.apiVersion).group;
}
