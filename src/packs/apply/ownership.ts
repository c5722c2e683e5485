import { ANNOTATIONS, FIELD_MANAGERS, LABELS, labelValue } from "../../api/names.ts";
import type { KubeObject } from "../../api/object.ts";
import type { JsonObject, JsonValue } from "../../base/json.ts";
import { isRbac } from "../artifact/bucket.ts";
import { groupOf, type PackDocument } from "../artifact/pack-object.ts";
import type { PackApplication } from "./pack-application.ts";

/** Field manager of the apply engine (dispatcher §8.4). */
export const PACK_FIELD_MANAGER = FIELD_MANAGERS.packDeploy;

/** Annotation with the raw pack version: versions may carry characters a label cannot. */
export const PACK_VERSION = "seam.ontai.dev/pack-version";
/** Marks an object that existed before the pack and was taken over: it is never counted as created by the pack. */
export const ADOPTED = "seam.ontai.dev/adopted";
/** Keeps an object on upgrade although it left the pack (dispatcher §8.6). */
export const PRUNE = "seam.ontai.dev/prune";
/** Marks a StatefulSet that left its pack and was kept. */
export const PROTECTED = "seam.ontai.dev/protected";

const MANAGED_BY = "app.kubernetes.io/managed-by";
/** Metadata that only the server writes. */
const SERVER_FIELDS = new Set([
  "resourceVersion",
  "uid",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "managedFields",
  "selfLink",
]);

/** Whose an existing object is. */
export function ownerOf(live: KubeObject, packInstalled: string): "ours" | "foreign" {
  return live.metadata.labels?.[LABELS.packInstalled] === labelValue(packInstalled) ? "ours" : "foreign";
}

/** The body that is applied for a document: the author's manifest with our labels and annotations, without what is the server's. */
export function desiredObject(document: PackDocument, application: PackApplication, adopted: boolean): JsonObject {
  const { status: _status, ...object } = document.object;
  const { labels, annotations, ...metadata } = object.metadata;
  const kept = Object.fromEntries(
    Object.entries(metadata).filter(([name, value]) => !SERVER_FIELDS.has(name) && value !== null),
  );
  return {
    ...object,
    metadata: {
      ...kept,
      labels: {
        ...labels,
        [MANAGED_BY]: "seam",
        [LABELS.packInstalled]: labelValue(application.packInstalled),
        [LABELS.pack]: labelValue(application.pack),
      },
      annotations: {
        ...annotations,
        [PACK_VERSION]: application.version,
        [ANNOTATIONS.contentHash]: document.contentHash,
        ...rawOwner(application.packInstalled),
        ...(isRbac(groupOf(document.object), document.object.kind) ? { [ANNOTATIONS.rbacOwner]: "guardian" } : {}),
        ...(adopted ? { [ADOPTED]: "true" } : {}),
      },
    },
  };
}

/** The raw name beside a label that had to shorten it. */
function rawOwner(packInstalled: string): Readonly<Record<string, JsonValue>> {
  return labelValue(packInstalled) === packInstalled ? {} : { [LABELS.packInstalled]: packInstalled };
}
