import { isMap, type JsonMap, member, memberMap, memberText } from "../../json/mutable-json.ts";
import { type FieldError, invalidValue, required } from "../../status-errors.ts";
import { leadsSomewhere, schemaAt } from "../../schema/structural-rules.ts";

const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"];
const SELECTABLE_TYPES = new Set(["boolean", "integer", "string"]);
const MAX_SELECTABLE_FIELDS = 8;
const SIMPLE_PATH = "must be a simple json path starting with .";

/** Checks what a version of a CRD says beside its schema. `path` is of the version, or `spec` when it is the only one. */
export function checkVersion(version: JsonMap, schema: JsonMap, path: string): FieldError[] {
  return [
    ...checkSubresources(version, `${path}.subresources`),
    ...checkColumns(version, `${path}.additionalPrinterColumns`),
    ...checkSelectable(version, schema, `${path}.selectableFields`),
  ];
}

function checkSubresources(version: JsonMap, path: string): FieldError[] {
  const scale = memberMap(memberMap(version, "subresources") ?? {}, "scale");
  if (!scale) return [];
  const errors: FieldError[] = [];
  for (const [field, under] of [
    ["specReplicasPath", ".spec."],
    ["statusReplicasPath", ".status."],
  ] as const) {
    const text = memberText(scale, field);
    const at = `${path}.scale.${field}`;
    if (text === "") errors.push(required(at));
    else if (!isSimplePath(text)) errors.push(invalidValue(at, text, SIMPLE_PATH));
    else if (!text.startsWith(under))
      errors.push(invalidValue(at, text, `should be a json path under ${under.slice(0, -1)}`));
  }
  const selector = memberText(scale, "labelSelectorPath");
  if (selector !== "" && !isSimplePath(selector)) {
    errors.push(invalidValue(`${path}.scale.labelSelectorPath`, selector, SIMPLE_PATH));
  }
  return errors;
}

function isSimplePath(path: string): boolean {
  return /^(?:\.[A-Za-z_][\w-]*)+$/.test(path);
}

function checkColumns(version: JsonMap, path: string): FieldError[] {
  const columns = member(version, "additionalPrinterColumns");
  if (!Array.isArray(columns)) return [];
  return columns.filter(isMap).flatMap((column, i) => {
    const errors: FieldError[] = [];
    const at = `${path}[${i}]`;
    if (memberText(column, "name") === "") errors.push(required(`${at}.name`));
    const type = memberText(column, "type");
    if (type === "") errors.push(required(`${at}.type`, `must be one of ${COLUMN_TYPES.join(",")}`));
    else if (!COLUMN_TYPES.includes(type)) {
      errors.push(invalidValue(`${at}.type`, type, `must be one of ${COLUMN_TYPES.join(",")}`));
    }
    const jsonPath = memberText(column, "jsonPath");
    if (jsonPath === "") errors.push(required(`${at}.JSONPath`));
    else if (!jsonPath.startsWith(".")) errors.push(invalidValue(`${at}.JSONPath`, jsonPath, SIMPLE_PATH));
    return errors;
  });
}

function checkSelectable(version: JsonMap, schema: JsonMap, path: string): FieldError[] {
  const fields = member(version, "selectableFields");
  if (!Array.isArray(fields)) return [];
  if (fields.length > MAX_SELECTABLE_FIELDS) {
    const message = `Too many: ${fields.length}: must have at most ${MAX_SELECTABLE_FIELDS} items`;
    return [{ reason: "FieldValueTooMany", field: path, message }];
  }
  return fields.filter(isMap).flatMap((field, i) => {
    const jsonPath = memberText(field, "jsonPath");
    const at = `${path}[${i}].jsonPath`;
    if (jsonPath === "") return [required(at)];
    if (!leadsSomewhere(schema, jsonPath)) {
      return [invalidValue(at, jsonPath, "is an invalid path: does not refer to a valid field")];
    }
    if (jsonPath.startsWith(".metadata")) return [invalidValue(at, jsonPath, "must not point to fields in metadata")];
    const { type } = schemaAt(schema, jsonPath) ?? {};
    return typeof type === "string" && SELECTABLE_TYPES.has(type)
      ? []
      : [invalidValue(at, jsonPath, `must point to a field of type boolean, integer, or string`)];
  });
}

/** Checks what a CRD says about conversion and unknown fields. */
export function checkConversion(spec: JsonMap | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const conversion = spec && memberMap(spec, "conversion");
  if (conversion && conversion["strategy"] === "Webhook") {
    const webhook = memberMap(conversion, "webhook");
    if (!webhook || !memberMap(webhook, "clientConfig")) {
      errors.push(required("spec.conversion.webhookClientConfig", "required when strategy is set to Webhook"));
    }
    const versions = webhook && member(webhook, "conversionReviewVersions");
    if (!Array.isArray(versions) || versions.length === 0) {
      errors.push(required("spec.conversion.conversionReviewVersions"));
    }
  }
  if (spec?.["preserveUnknownFields"] === true) {
    const why =
      "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
    errors.push(invalidValue("spec.preserveUnknownFields", true, why));
  }
  return errors;
}
