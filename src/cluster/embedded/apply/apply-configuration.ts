import { ApiStatusError, type StatusCause } from "../../api-status-error.ts";
import { isMap, jsonEqual, type JsonMap, member, memberMap } from "../json/mutable-json.ts";
import { metadataOf } from "../metadata/validate-metadata.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import { badRequest } from "../status-errors.ts";
import { changedFields, compareFields } from "./compare-fields.ts";
import {
  difference,
  EMPTY,
  type FieldSet,
  intersection,
  isEmpty,
  LEAF,
  pathsOf,
  sameSet,
  setOf,
  union,
} from "./field-set.ts";
import { fieldsOf } from "./fields-of.ts";
import { type Manager, type ManagerId, managerKey, type Managers, readManagers, writeManagers } from "./managers.ts";
import { isNamedField, memberSchema } from "./merge-shape.ts";
import { mergeConfiguration } from "./merge-configuration.ts";
import { removeFields } from "./remove-fields.ts";
import { ownable } from "./track-update.ts";

/** Stands for everybody who wrote before there was a record of owners. */
const BEFORE_FIRST_APPLY = "before-first-apply";

/** An applied configuration with its author. */
export interface Application {
  readonly config: JsonMap;
  readonly id: ManagerId;
  readonly force: boolean;
  /** `metav1.Time` for the record of owners. */
  readonly time: string;
}

/** The live object with the configuration laid over it, and who owns what then. */
export interface Applied {
  readonly object: JsonMap;
  readonly managers: Managers;
}

/** Refuses configurations that cannot be applied. @throws ApiStatusError 400 */
export function checkConfiguration(config: JsonMap): void {
  const record = member(metadataOf(config), "managedFields");
  if (record !== undefined && record !== null) throw badRequest("metadata.managedFields must be nil");
}

/** The paths a configuration of this resource speaks about and may own. */
export function configurationFields(resource: ServedResource, application: Application): FieldSet {
  return ownable(resource, fieldsOf(application.config, resource.schema), application.id.subresource);
}

/**
 * Server-side apply on an existing object: merge, remove what the manager applied before and nobody owns now, refuse what others
 * own with another value unless forced (structured-merge-diff `Updater.Apply`).
 *
 * @throws ApiStatusError 409 with one cause per conflicting field
 */
export function applyConfiguration(resource: ServedResource, live: JsonMap, application: Application): Applied {
  const { id, config, force, time } = application;
  const { schema } = resource;
  const managers = managersBefore(resource, live, application);
  const key = managerKey(id);
  const last = managers.get(key);
  const fields = configurationFields(resource, application);
  const wanted = statusOrRest(resource, config, id.subresource);
  const merged = mergeConfiguration(live, wanted, schema);
  if (!isMap(merged)) throw badRequest("an applied configuration is an object");
  const next = new Map<string, Manager>(managers);
  next.set(key, { ...id, time, fields });
  const object = last ? dropAbandoned(resource, merged, last.fields, next) : merged;

  const comparison = compareFields(live, object, schema);
  const changed = changedFields(comparison);
  const conflicts: [Manager, FieldSet][] = [];
  for (const [other, manager] of managers) {
    if (other === key) continue;
    const contested = intersection(manager.fields, changed);
    if (!isEmpty(contested)) conflicts.push([manager, contested]);
  }
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  for (const [other, manager] of managers) {
    if (other === key) continue;
    const rest = difference(difference(manager.fields, changed), comparison.removed);
    next.set(other, { ...manager, fields: rest });
  }
  if (last && sameSet(last.fields, fields) && jsonEqual(object, live))
    next.set(key, { ...last, apiVersion: id.apiVersion });
  return { object, managers: next };
}

/**
 * Who owns what of the live object. Without a record (it was cleared) everything belongs to whoever wrote before the first apply,
 * so that applying cannot take it over unseen (apimachinery `skipNonAppliedManager`).
 */
function managersBefore(resource: ServedResource, live: JsonMap, { id, time }: Application): Managers {
  const managers = readManagers(metadataOf(live));
  if (managers.size > 0) return managers;
  const { apiVersion } = id;
  const before: ManagerId = { manager: BEFORE_FIRST_APPLY, operation: "Update", apiVersion, subresource: "" };
  return new Map([
    [managerKey(before), { ...before, time, fields: ownable(resource, fieldsOf(live, resource.schema), "") }],
  ]);
}

/** Writes the record of owners into the object that is about to be stored. */
export function recordManagers(object: JsonMap, managers: Managers): void {
  writeManagers(memberMap(object, "metadata") ?? {}, managers);
}

/** The half of a configuration that the main resource or `/status` takes. */
function statusOrRest(resource: ServedResource, config: JsonMap, subresource: string): JsonMap {
  if (!resource.statusSubresource) return config;
  if (subresource === "status") return config["status"] === undefined ? {} : { status: config["status"] };
  const { status: _status, ...rest } = config;
  return rest;
}

/** Removes paths the manager applied last time and that neither it nor anybody else owns now. */
function dropAbandoned(resource: ServedResource, merged: JsonMap, last: FieldSet, managers: Managers): JsonMap {
  let owned: FieldSet = EMPTY;
  for (const manager of managers.values()) owned = union(owned, manager.fields);
  const abandoned = unowned(last, owned, resource.schema);
  if (isEmpty(abandoned)) return merged;
  return asObject(removeFields(merged, abandoned, resource.schema));
}

function asObject(value: ReturnType<typeof removeFields>): JsonMap {
  return isMap(value) ? value : {};
}

/**
 * What of `last` nobody owns now. A field the schema names stays while anything below it is owned, a map key or list item only while it is
 * owned itself (structured-merge-diff `EnsureNamedFieldsAreMembers`); what goes takes with it what nobody ever owned, such as defaults.
 */
function unowned(last: FieldSet, owned: FieldSet, schema: SchemaNode | undefined): FieldSet {
  const children: [string, FieldSet][] = [];
  for (const [element, child] of last.children) {
    const other = owned.children.get(element);
    const name = element.startsWith("f:") ? element.slice(2) : undefined;
    const named = name !== undefined && isNamedField(schema, name);
    const below = name === undefined ? schema?.items : memberSchema(schema, name);
    const holds = other !== undefined && (named || other.member);
    children.push([element, holds ? { ...unowned(child, other, below), member: false } : LEAF]);
  }
  return setOf(children);
}

function managerText(manager: Manager): string {
  const subresource = manager.subresource === "" ? "" : ` with subresource ${JSON.stringify(manager.subresource)}`;
  const name = `${JSON.stringify(manager.manager)}${subresource}`;
  // One manager applies in one version at a time: only updates say which (structured-merge-diff `printManager`).
  if (manager.operation === "Apply") return name;
  return `${name} using ${manager.apiVersion}`;
}

function conflictError(conflicts: readonly [Manager, FieldSet][]): ApiStatusError {
  const causes: StatusCause[] = [];
  const groups: string[] = [];
  for (const [manager, set] of conflicts.toSorted(([a], [b]) => (a.manager < b.manager ? -1 : 1))) {
    const paths = [...pathsOf(set)];
    const who = managerText(manager);
    for (const path of paths) {
      causes.push({ reason: "FieldManagerConflict", message: `conflict with ${who}`, field: path });
    }
    groups.push([`conflicts with ${who}:`, ...paths.map((path) => `- ${path}`)].join("\n"));
  }
  const [only] = causes;
  const message =
    causes.length === 1 && only
      ? `Apply failed with 1 conflict: ${only.message}: ${only.field}`
      : `Apply failed with ${causes.length} conflicts: ${groups.join("\n")}`;
  return new ApiStatusError(409, "Conflict", message, { causes });
}
