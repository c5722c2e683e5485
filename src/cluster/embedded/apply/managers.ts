import { isMap, type Json, type JsonMap, member, memberText } from "../json/mutable-json.ts";
import { decodeFields, encodeFields, type FieldSet, isEmpty, setOf, LEAF, union } from "./field-set.ts";

/** Who wrote: one entry of `metadata.managedFields` without its fields. */
export interface ManagerId {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** Empty for the main resource. */
  readonly subresource: string;
}

/** A manager with what it owns. */
export interface Manager extends ManagerId {
  readonly time: string | undefined;
  readonly fields: FieldSet;
}

/** Managers by {@link managerKey}. */
export type Managers = ReadonlyMap<string, Manager>;

/** Update managers kept apart; older ones are folded into one (apimachinery `capmanagers`). */
const MAX_UPDATE_MANAGERS = 10;
const ANCIENT_CHANGES = "ancient-changes";

export function managerKey(id: ManagerId): string {
  return JSON.stringify([id.manager, id.operation, id.operation === "Apply" ? "" : id.apiVersion, id.subresource]);
}

/** Reads `metadata.managedFields`. */
export function readManagers(metadata: JsonMap): Map<string, Manager> {
  const managers = new Map<string, Manager>();
  const entries = member(metadata, "managedFields");
  if (!Array.isArray(entries)) return managers;
  for (const entry of entries) {
    if (!isMap(entry)) continue;
    const name = memberText(entry, "manager");
    const fields = decodeFields(entry["fieldsV1"]);
    if (isEmpty(fields)) continue;
    const manager: Manager = {
      manager: name,
      operation: entry["operation"] === "Apply" ? "Apply" : "Update",
      apiVersion: memberText(entry, "apiVersion"),
      subresource: memberText(entry, "subresource"),
      time: memberText(entry, "time") || undefined,
      fields,
    };
    managers.set(managerKey(manager), manager);
  }
  return managers;
}

/** `managedFields: []` or `[{}]` clears the record of owners (server-side apply, "clearing managedFields"). */
export function isRecordReset(metadata: JsonMap): boolean {
  const entries = member(metadata, "managedFields");
  if (!Array.isArray(entries) || entries.length > 1) return false;
  const [entry] = entries;
  return entry === undefined || (isMap(entry) && Object.keys(entry).length === 0);
}

/** Writes `metadata.managedFields`: Apply entries first, then by time and name, as the API server orders them. */
export function writeManagers(metadata: JsonMap, managers: Managers): void {
  const entries = capUpdaters([...managers.values()].filter((manager) => !isEmpty(manager.fields)));
  if (entries.length === 0) {
    delete metadata["managedFields"];
    return;
  }
  metadata["managedFields"] = entries.toSorted(byOperationAndTime).map(encodeManager);
}

function encodeManager(manager: Manager): Json {
  return {
    manager: manager.manager,
    operation: manager.operation,
    apiVersion: manager.apiVersion,
    ...(manager.time === undefined ? {} : { time: manager.time }),
    fieldsType: "FieldsV1",
    fieldsV1: encodeFields(manager.fields),
    ...(manager.subresource === "" ? {} : { subresource: manager.subresource }),
  };
}

function byOperationAndTime(a: Manager, b: Manager): number {
  return (
    compareText(a.operation, b.operation) ||
    compareText(a.time ?? "", b.time ?? "") ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function capUpdaters(managers: readonly Manager[]): readonly Manager[] {
  const updaters = managers.filter((manager) => manager.operation === "Update" && manager.subresource === "");
  if (updaters.length <= MAX_UPDATE_MANAGERS) return managers;
  const oldest = updaters.toSorted(byOperationAndTime).slice(0, updaters.length - MAX_UPDATE_MANAGERS + 1);
  const folded = new Map<string, Manager>();
  for (const manager of oldest) {
    const bucket = folded.get(manager.apiVersion);
    folded.set(manager.apiVersion, {
      manager: ANCIENT_CHANGES,
      operation: "Update",
      apiVersion: manager.apiVersion,
      subresource: "",
      time: manager.time,
      fields: bucket ? union(bucket.fields, manager.fields) : manager.fields,
    });
  }
  return [...managers.filter((manager) => !oldest.includes(manager)), ...folded.values()];
}

const SYSTEM_METADATA = [
  "name",
  "namespace",
  "creationTimestamp",
  "selfLink",
  "uid",
  "clusterName",
  "generation",
  "managedFields",
  "resourceVersion",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
];

/** Paths nobody owns (apimachinery `stripMeta`), with their subtrees. */
export const SYSTEM_FIELDS: FieldSet = setOf([
  ["f:apiVersion", LEAF],
  ["f:kind", LEAF],
  ["f:metadata", setOf(SYSTEM_METADATA.map((name) => [`f:${name}`, LEAF] as const))],
]);

/** `status` with its subtree: not the main resource's to own when there is a status subresource. */
export const STATUS_FIELDS: FieldSet = setOf([["f:status", LEAF]]);
