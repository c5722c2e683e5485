import { parseCanonicalJson } from "../../base/canonical-json.ts";
import { errorMessage } from "../../base/errors.ts";
import { type JsonValue, isJsonObject } from "../../base/json.ts";
import { canonicalText, ruleSetIdOf } from "../algebra/canonical.ts";
import type { SubjectKind } from "../rules/principal.ts";
import { type Rule, ruleOf } from "../rules/rule.ts";
import { expandedEntries, MAX_ENTRIES_PER_RULE_SET } from "../rules/rule-validation.ts";
import {
  type BindingSource,
  type RuleSet,
  type SnapshotBinding,
  type SnapshotCeilings,
  type SnapshotContent,
  type SnapshotProfile,
  type SnapshotSubject,
  subjectSortKey,
} from "./content.ts";
import { FieldMismatch, JsonFields, NOWHERE, type Place } from "./json-fields.ts";
import {
  MAX_BINDINGS,
  MAX_CONTENT_BYTES,
  MAX_RULES_PER_RULE_SET,
  MAX_RULE_SETS,
  MAX_SUBJECTS,
  MAX_TOTAL_ENTRIES,
  SNAPSHOT_SCHEMA_VERSION,
} from "./limits.ts";
import { SnapshotRefused } from "./snapshot-failure.ts";

const MAX_LIST = 10_000;
const MAX_PROFILES = 100_000;
const RULE_SET_ID = /^rs-[0-9a-f]{32}$/;
const NON_EMPTY = /^[^\0]+$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;
const KINDS: readonly SubjectKind[] = ["Group", "ServiceAccount", "User"];
/** Ten years, seconds: beyond any sensible lifetime. */
const MAX_SECONDS = 315_360_000;

/** Members of each object of the content. */
const RULE_MEMBERS = ["verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"];
const RULE_SET_MEMBERS = ["id", "rules"];
const SOURCE_MEMBERS = ["profileNamespace", "profileName", "declaration", "permissionSet", "policy"];
const BINDING_MEMBERS = ["ruleSet", "scope", "namespaces", "expiresAt", "source"];
const SUBJECT_MEMBERS = ["subjectKind", "namespace", "subjectName", "principalRef", "bindings"];
const PROFILE_MEMBERS = ["namespace", "name", "principalRef", "generation", "provisioned"];
const CEILING_MEMBERS = ["fleet", "cluster"];
/** Members of the content (permissions §8.3): all of them are hashed, and nothing else is. */
export const CONTENT_MEMBERS = [
  "schemaVersion",
  "targetCluster",
  "ceilings",
  "ruleSets",
  "subjects",
  "profiles",
  "suspendedPrincipals",
  "freshnessWindowSeconds",
  "maxOfflineSeconds",
] as const;

/** A limit was passed: refused before anything was allocated for it. */
class OverBudget extends Error {
  override readonly name = "OverBudget";
}

function parseRule(value: JsonValue, at: Place): Rule {
  const fields = new JsonFields(value, at);
  const rule = ruleOf({
    verbs: fields.texts("verbs", MAX_LIST),
    apiGroups: fields.texts("apiGroups", MAX_LIST),
    resources: fields.texts("resources", MAX_LIST),
    resourceNames: fields.texts("resourceNames", MAX_LIST),
    nonResourceURLs: fields.texts("nonResourceURLs", MAX_LIST),
  });
  fields.end(RULE_MEMBERS);
  const isUrlRule = rule.nonResourceURLs.length > 0;
  const isResourceRule = rule.apiGroups.length > 0 && rule.resources.length > 0;
  const mixed = isUrlRule && rule.apiGroups.length + rule.resources.length + rule.resourceNames.length > 0;
  if (rule.verbs.length === 0 || isUrlRule === isResourceRule || mixed || rule.resourceNames.includes(""))
    throw new FieldMismatch(`${fields.path()}: expected verbs and either apiGroups with resources or nonResourceURLs`);
  return rule;
}

function parseRuleSet(value: JsonValue, at: Place): RuleSet {
  const fields = new JsonFields(value, at);
  const id = fields.text("id", RULE_SET_ID);
  const rules = fields
    .list("rules", MAX_RULES_PER_RULE_SET)
    .map((rule, i) => parseRule(rule, fields.entry("rules", i)));
  fields.end(RULE_SET_MEMBERS);
  if (rules.length === 0) throw new FieldMismatch(`${fields.path("rules")}: expected at least one rule`);
  const text = canonicalText(rules);
  if (text === undefined || ruleSetIdOf(text) !== id)
    throw new FieldMismatch(`${fields.path("id")}: expected the id of its canonical rules`);
  return { id, rules };
}

function parseSource(fields: JsonFields): BindingSource {
  const source = {
    profileNamespace: fields.text("profileNamespace"),
    profileName: fields.text("profileName"),
    declaration: fields.integer("declaration", 0, MAX_LIST),
    permissionSet: fields.text("permissionSet"),
    policy: fields.text("policy"),
  };
  fields.end(SOURCE_MEMBERS);
  return source;
}

function parseBinding(value: JsonValue, at: Place): SnapshotBinding {
  const fields = new JsonFields(value, at);
  const binding: SnapshotBinding = {
    ruleSet: fields.text("ruleSet", RULE_SET_ID),
    scope: fields.oneOf("scope", ["cluster", "namespaced"]),
    namespaces: fields.texts("namespaces", MAX_LIST),
    expiresAt: fields.optionalText("expiresAt", RFC3339),
    source: parseSource(fields.object("source")),
  };
  fields.end(BINDING_MEMBERS);
  if (binding.scope === "cluster" && binding.namespaces.length > 0)
    throw new FieldMismatch(`${fields.path("namespaces")}: expected none with scope cluster`);
  if (binding.namespaces.includes(""))
    throw new FieldMismatch(`${fields.path("namespaces")}: expected non-empty names`);
  if (binding.expiresAt !== "" && Number.isNaN(Date.parse(binding.expiresAt)))
    throw new FieldMismatch(`${fields.path("expiresAt")}: expected an RFC 3339 time`);
  return binding;
}

function parseSubject(value: JsonValue, at: Place): SnapshotSubject {
  const fields = new JsonFields(value, at);
  const subject: SnapshotSubject = {
    kind: fields.oneOf("subjectKind", KINDS),
    namespace: fields.optionalText("namespace", NON_EMPTY),
    name: fields.text("subjectName", NON_EMPTY),
    principalRef: fields.text("principalRef", NON_EMPTY),
    bindings: fields.list("bindings", MAX_BINDINGS).map((entry, i) => parseBinding(entry, fields.entry("bindings", i))),
  };
  fields.end(SUBJECT_MEMBERS);
  if ((subject.kind === "ServiceAccount") !== (subject.namespace !== ""))
    throw new FieldMismatch(`${fields.path("namespace")}: expected for a ServiceAccount and for nothing else`);
  return subject;
}

function parseProfile(value: JsonValue, at: Place): SnapshotProfile {
  const fields = new JsonFields(value, at);
  const profile = {
    namespace: fields.text("namespace", NON_EMPTY),
    name: fields.text("name", NON_EMPTY),
    principalRef: fields.text("principalRef"),
    generation: fields.integer("generation", 0, Number.MAX_SAFE_INTEGER),
    provisioned: fields.boolean("provisioned"),
  };
  fields.end(PROFILE_MEMBERS);
  return profile;
}

function parseCeilings(fields: JsonFields): SnapshotCeilings {
  const fleet = fields.optionalText("fleet", RULE_SET_ID);
  const cluster = fields.optionalText("cluster", RULE_SET_ID);
  fields.end(CEILING_MEMBERS);
  return { ...(fleet !== "" && { fleet }), ...(cluster !== "" && { cluster }) };
}

/** Budgets and references: a snapshot that cannot be evaluated completely is not activated at all (permissions §5.6). */
function checkWhole(content: SnapshotContent): void {
  const ids = new Set<string>();
  let entries = 0;
  for (const { id, rules } of content.ruleSets) {
    if (ids.has(id)) throw new FieldMismatch(`ruleSets: ${id} appears twice`);
    ids.add(id);
    const own = rules.reduce((sum, rule) => sum + expandedEntries(rule) + rule.nonResourceURLs.length, 0);
    if (own > MAX_ENTRIES_PER_RULE_SET) throw new OverBudget(`rule set ${id} expands to ${own} entries`);
    entries += own;
  }
  if (entries > MAX_TOTAL_ENTRIES) throw new OverBudget(`rule sets expand to ${entries} entries`);
  const subjects = new Set<string>();
  let bindings = 0;
  for (const subject of content.subjects) {
    const key = subjectSortKey(subject);
    if (subjects.has(key)) throw new FieldMismatch(`subjects: ${subject.kind} ${subject.name} appears twice`);
    subjects.add(key);
    bindings += subject.bindings.length;
    for (const { ruleSet } of subject.bindings)
      if (!ids.has(ruleSet)) throw new FieldMismatch(`subjects: ${subject.name} refers to unknown rule set ${ruleSet}`);
  }
  if (bindings > MAX_BINDINGS) throw new OverBudget(`${bindings} bindings`);
  for (const id of [content.ceilings.fleet, content.ceilings.cluster])
    if (id !== undefined && !ids.has(id)) throw new FieldMismatch(`ceilings: unknown rule set ${id}`);
}

function checkCount(value: JsonValue, name: string, max: number): void {
  const list = isJsonObject(value) ? value[name] : undefined;
  if (Array.isArray(list) && list.length > max) throw new OverBudget(`${list.length} ${name}, at most ${max}`);
}

/**
 * Reads content strictly: canonical bytes, no unknown members, every reference resolved, every budget held.
 *
 * @throws SnapshotRefused TOO_LARGE, UNSUPPORTED_SCHEMA or INVALID_CONTENT, naming the field
 */
export function parseContent(bytes: Uint8Array): SnapshotContent {
  if (bytes.length > MAX_CONTENT_BYTES)
    throw new SnapshotRefused("TOO_LARGE", `content has ${bytes.length} bytes, at most ${MAX_CONTENT_BYTES}`);
  try {
    const value = parseCanonicalJson(bytes);
    const fields = new JsonFields(value, NOWHERE);
    const schemaVersion = fields.integer("schemaVersion", 0, Number.MAX_SAFE_INTEGER);
    if (schemaVersion !== SNAPSHOT_SCHEMA_VERSION)
      throw new SnapshotRefused(
        "UNSUPPORTED_SCHEMA",
        `schemaVersion ${schemaVersion}, this build reads ${SNAPSHOT_SCHEMA_VERSION}`,
      );
    checkCount(value, "subjects", MAX_SUBJECTS);
    checkCount(value, "ruleSets", MAX_RULE_SETS);
    const content: SnapshotContent = {
      schemaVersion,
      targetCluster: fields.text("targetCluster", NON_EMPTY),
      ceilings: parseCeilings(fields.object("ceilings")),
      ruleSets: fields
        .list("ruleSets", MAX_RULE_SETS)
        .map((entry, i) => parseRuleSet(entry, fields.entry("ruleSets", i))),
      subjects: fields
        .list("subjects", MAX_SUBJECTS)
        .map((entry, i) => parseSubject(entry, fields.entry("subjects", i))),
      profiles: fields
        .list("profiles", MAX_PROFILES)
        .map((entry, i) => parseProfile(entry, fields.entry("profiles", i))),
      suspendedPrincipals: fields.texts("suspendedPrincipals", MAX_SUBJECTS),
      freshnessWindowSeconds: fields.integer("freshnessWindowSeconds", 1, MAX_SECONDS),
      maxOfflineSeconds: fields.integer("maxOfflineSeconds", 1, MAX_SECONDS),
    };
    fields.end(CONTENT_MEMBERS);
    checkWhole(content);
    return content;
  } catch (error) {
    if (error instanceof SnapshotRefused) throw error;
    if (error instanceof OverBudget) throw new SnapshotRefused("TOO_LARGE", error.message);
    throw new SnapshotRefused("INVALID_CONTENT", errorMessage(error));
  }
}
