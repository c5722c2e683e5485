import { jsonEqual, type JsonMap, member, memberMap } from "../json/mutable-json.ts";
import { metadataOf } from "../metadata/validate-metadata.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { changedFields, compareFields } from "./compare-fields.ts";
import { difference, EMPTY, type FieldSet, isEmpty, recursiveDifference, sameSet, setOf, union } from "./field-set.ts";
import {
  isRecordReset,
  type Manager,
  type ManagerId,
  managerKey,
  readManagers,
  STATUS_FIELDS,
  SYSTEM_FIELDS,
  writeManagers,
} from "./managers.ts";

/** `set` without what nobody owns: system fields, and the other half of a status subresource. */
export function ownable(resource: ServedResource, set: FieldSet, subresource: string): FieldSet {
  const fields = bareMetadata(recursiveDifference(set, SYSTEM_FIELDS));
  if (!resource.statusSubresource) return fields;
  if (subresource !== "status") return recursiveDifference(fields, STATUS_FIELDS);
  const status = fields.children.get("f:status");
  return status ? setOf([["f:status", status]]) : EMPTY;
}

/** `metadata` itself exists in every object and belongs to nobody. */
function bareMetadata(set: FieldSet): FieldSet {
  const metadata = set.children.get("f:metadata");
  if (!metadata?.member) return set;
  const children = new Map(set.children);
  if (metadata.children.size === 0) children.delete("f:metadata");
  else children.set("f:metadata", { member: false, children: metadata.children });
  return { member: set.member, children };
}

/** An object as ownership sees it: its record of owners is not one of its fields. */
function withoutRecord(object: JsonMap): JsonMap {
  const metadata = { ...metadataOf(object) };
  delete metadata["managedFields"];
  return { ...object, metadata };
}

/**
 * Records a create or update: its manager owns what it changed, everybody else loses it (structured-merge-diff `Updater.Update`).
 *
 * @param current the stored object, or undefined for a create
 */
export function trackUpdate(
  resource: ServedResource,
  changed: JsonMap,
  current: JsonMap | undefined,
  id: ManagerId,
  time: string,
): void {
  const metadata = memberMap(changed, "metadata") ?? {};
  if (current !== undefined && isRecordReset(metadata)) {
    delete metadata["managedFields"];
    return;
  }
  const comparison = compareFields(
    current ? withoutRecord(current) : { metadata: {} },
    withoutRecord(changed),
    resource.schema,
  );
  const removed = comparison.removed;
  const mine = ownable(resource, changedFields(comparison), id.subresource);
  const managers = readManagers(metadata);
  // Without a record there is nothing to keep until somebody applies (apimachinery `skipNonAppliedManager`).
  if (current !== undefined && managers.size === 0) return;
  const key = managerKey(id);
  if (isEmpty(mine) && isEmpty(removed)) {
    const given = member(metadata, "managedFields");
    // The request brought a record of its own: it is stored in the form of every other.
    if (current && !jsonEqual(given, member(metadataOf(current), "managedFields"))) writeManagers(metadata, managers);
    return;
  }
  const lost = union(changedFields(comparison), removed);
  const next = new Map<string, Manager>();
  for (const [other, manager] of managers) {
    if (other === key) continue;
    next.set(other, { ...manager, fields: difference(manager.fields, lost) });
  }
  const before = managers.get(key);
  const fields = union(difference(before?.fields ?? EMPTY, removed), mine);
  next.set(key, {
    ...id,
    time: before && sameSet(before.fields, fields) ? before.time : time,
    fields,
  });
  writeManagers(metadata, next);
}
