import { rfc3339Seconds } from "../../../../base/clock.ts";
import { ensureMap, isMap, type Json, type JsonMap, member, memberMap, memberText } from "../../json/mutable-json.ts";
import { nameProblem } from "../../metadata/names.ts";
import { checkConversion, checkVersion } from "./crd-version.ts";
import { checkStructural } from "../../schema/structural.ts";
import { duplicateValue, type FieldError, invalidValue, notSupported, required } from "../../status-errors.ts";
import { collectionId, type KindContext, type KindRules } from "../served-resource.ts";

const CRDS = collectionId("apiextensions.k8s.io", "customresourcedefinitions");
/** Finalizer that holds a CRD until its objects are gone. */
export const CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

function textList(map: JsonMap | undefined, key: string): string[] {
  const value = map ? member(map, key) : undefined;
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function versionsOf(object: JsonMap): JsonMap[] {
  const versions = member(memberMap(object, "spec") ?? {}, "versions");
  return Array.isArray(versions) ? versions.filter(isMap) : [];
}

function defaultNames(object: JsonMap): void {
  const spec = memberMap(object, "spec");
  const names = spec ? memberMap(spec, "names") : undefined;
  const kind = memberText(names, "kind");
  if (!names || kind === "") return;
  if (memberText(names, "singular") === "") names["singular"] = kind.toLowerCase();
  if (memberText(names, "listKind") === "") names["listKind"] = `${kind}List`;
}

/** Who of the same group already holds one of the names, or undefined. */
function namesTakenBy(object: JsonMap, context: KindContext): string | undefined {
  const spec = memberMap(object, "spec");
  const names = spec ? memberMap(spec, "names") : undefined;
  const self = memberText(memberMap(object, "metadata"), "name");
  const mine = new Set([memberText(names, "plural"), memberText(names, "singular"), ...textList(names, "shortNames")]);
  const kinds = new Set([memberText(names, "kind"), memberText(names, "listKind")]);
  for (const other of context.objects(CRDS)) {
    if (other.metadata.name === self) continue;
    const map = other as unknown as JsonMap;
    const otherSpec = memberMap(map, "spec");
    if (!otherSpec || memberText(otherSpec, "group") !== memberText(spec, "group")) continue;
    const accepted = memberMap(memberMap(map, "status") ?? {}, "acceptedNames");
    const taken = [
      memberText(accepted, "plural"),
      memberText(accepted, "singular"),
      ...textList(accepted, "shortNames"),
    ];
    const clash =
      taken.find((name) => name !== "" && mine.has(name)) ??
      [memberText(accepted, "kind"), memberText(accepted, "listKind")].find((name) => name !== "" && kinds.has(name));
    if (clash !== undefined) return `${JSON.stringify(clash)} is already in use`;
  }
  return undefined;
}

function setCondition(conditions: JsonMap[], condition: JsonMap, time: string): void {
  const present = conditions.find((other) => other["type"] === condition["type"]);
  if (!present) {
    conditions.push({ ...condition, lastTransitionTime: time });
    return;
  }
  if (present["status"] !== condition["status"]) present["lastTransitionTime"] = time;
  Object.assign(present, condition);
}

/** The naming and establishing controllers of the API server, done within the write. */
function establish(object: JsonMap, context: KindContext): void {
  const time = rfc3339Seconds(context.now);
  const status = ensureMap(object, "status");
  const list = member(status, "conditions");
  const conditions = Array.isArray(list) ? list.filter(isMap) : [];
  const taken = namesTakenBy(object, context);
  const names = memberMap(memberMap(object, "spec") ?? {}, "names") ?? {};
  if (taken === undefined) {
    status["acceptedNames"] = structuredClone(names);
    setCondition(
      conditions,
      { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "no conflicts found" },
      time,
    );
    setCondition(
      conditions,
      {
        type: "Established",
        status: "True",
        reason: "InitialNamesAccepted",
        message: "the initial names have been accepted",
      },
      time,
    );
  } else {
    setCondition(conditions, { type: "NamesAccepted", status: "False", reason: "NameConflict", message: taken }, time);
    if (!conditions.some((condition) => condition["type"] === "Established" && condition["status"] === "True")) {
      status["acceptedNames"] = { plural: "", kind: "" };
      setCondition(
        conditions,
        { type: "Established", status: "False", reason: "NotAccepted", message: "not all names are accepted" },
        time,
      );
    }
  }
  status["conditions"] = conditions;
  const stored = textList(status, "storedVersions");
  const storage = memberText(
    versionsOf(object).find((version) => version["storage"] === true),
    "name",
  );
  if (storage !== "" && !stored.includes(storage)) stored.push(storage);
  status["storedVersions"] = stored;
}

const VERSION_NAME = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/;

function validateVersions(object: JsonMap, context: KindContext): FieldError[] {
  const errors: FieldError[] = [];
  const versions = versionsOf(object);
  const seen = new Set<string>();
  versions.forEach((version, i) => {
    const path = `spec.versions[${i}]`;
    const name = memberText(version, "name");
    if (!VERSION_NAME.test(name)) errors.push(invalidValue(`${path}.name`, name, "must be a DNS-1035 label"));
    if (seen.has(name)) errors.push(duplicateValue(`${path}.name`, name));
    seen.add(name);
    const schema = memberMap(memberMap(version, "schema") ?? {}, "openAPIV3Schema");
    if (!schema) errors.push(required(`${path}.schema.openAPIV3Schema`));
    else {
      // The API server reads the schema of an only version as the schema of all.
      const at = versions.length === 1 ? "spec.validation.openAPIV3Schema" : `${path}.schema.openAPIV3Schema`;
      errors.push(...checkStructural(schema, at, context.checkRule));
      errors.push(...checkVersion(version, schema, versions.length === 1 ? "spec" : path));
    }
  });
  if (versions.filter((version) => version["storage"] === true).length !== 1) {
    errors.push(invalidValue("spec.versions", versions, "must have exactly one version marked as storage version"));
  }
  return errors;
}

export const customResourceDefinitionRules: KindRules = {
  prepareCreate(object, context) {
    defaultNames(object);
    delete object["status"];
    establish(object, context);
  },
  prepareUpdate(object, _old, context) {
    defaultNames(object);
    establish(object, context);
  },
  validate(object, old, context) {
    const errors: FieldError[] = [];
    const spec = memberMap(object, "spec");
    const names = spec ? memberMap(spec, "names") : undefined;
    const group = memberText(spec, "group");
    const plural = memberText(names, "plural");
    const name = memberText(memberMap(object, "metadata"), "name");
    const expected = `${plural}.${group}`;
    if (name !== expected) {
      errors.push(invalidValue("metadata.name", name, `must be spec.names.plural+"."+spec.group`));
    }
    if (group === "") errors.push(required("spec.group"));
    else if (nameProblem("subdomain", group))
      errors.push(invalidValue("spec.group", group, nameProblem("subdomain", group) ?? ""));
    else if (!group.includes("."))
      errors.push(invalidValue("spec.group", group, "should be a domain with at least one dot"));
    for (const field of ["plural", "singular"]) {
      const value = memberText(names, field);
      const problem = value === "" ? undefined : nameProblem("label1035", value);
      if (problem) errors.push(invalidValue(`spec.names.${field}`, value, problem));
    }
    const scope = spec ? member(spec, "scope") : undefined;
    if (scope !== "Namespaced" && scope !== "Cluster") {
      errors.push(notSupported("spec.scope", scope ?? "", ["Cluster", "Namespaced"]));
    }
    errors.push(...validateVersions(object, context), ...checkConversion(spec));
    if (old) errors.push(...validateChange(spec, memberMap(old, "spec"), object));
    return errors;
  },
};

function validateChange(spec: JsonMap | undefined, old: JsonMap | undefined, object: JsonMap): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["scope", "group"]) {
    const value: Json = spec?.[field] ?? null;
    if (old && old[field] !== value) errors.push(invalidValue(`spec.${field}`, value, "field is immutable"));
  }
  const kind = memberText(spec ? memberMap(spec, "names") : undefined, "kind");
  if (old && memberText(memberMap(old, "names"), "kind") !== kind) {
    errors.push(invalidValue("spec.names.kind", kind, "field is immutable"));
  }
  const present = new Set(versionsOf(object).map((version) => memberText(version, "name")));
  textList(memberMap(object, "status"), "storedVersions").forEach((version, i) => {
    if (!present.has(version)) {
      errors.push(
        invalidValue(
          `status.storedVersions[${i}]`,
          version,
          `missing from spec.versions; ${version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${version} and removes ${version} from status.storedVersions`,
        ),
      );
    }
  });
  return errors;
}
