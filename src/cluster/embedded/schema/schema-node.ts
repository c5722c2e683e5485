import { isJsonObject, type JsonValue } from "../../../base/json.ts";
import { cloneJson, type Json } from "../json/mutable-json.ts";
import { compilePattern } from "./re2-pattern.ts";

/** One entry of `x-kubernetes-validations`. */
export interface CelRuleSource {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

export type SchemaType = "object" | "array" | "string" | "integer" | "number" | "boolean";

/**
 * One node of a structural schema (apiextensions/v1 JSONSchemaProps), read once from JSON. Children are read when first visited, so a
 * CRD of 500 KiB costs only what its objects use.
 */
export class SchemaNode {
  readonly type: SchemaType | undefined;
  readonly intOrString: boolean;
  readonly preserveUnknown: boolean;
  readonly embeddedResource: boolean;
  readonly nullable: boolean;
  readonly default: Json | undefined;
  readonly format: string | undefined;
  readonly required: readonly string[];
  readonly enum: readonly JsonValue[] | undefined;
  readonly listType: "atomic" | "set" | "map";
  readonly listTypeGiven: boolean;
  readonly listMapKeys: readonly string[];
  readonly atomicMap: boolean;
  readonly rules: readonly CelRuleSource[];
  readonly limits: Limits;
  readonly #source: Source;
  readonly #children = new Map<string, SchemaNode>();
  #pattern: RegExp | null | undefined;
  #hasDefaults: boolean | undefined;
  #hasRules: boolean | undefined;

  constructor(source: JsonValue | undefined) {
    const json: Source = isJsonObject(source) ? source : {};
    this.#source = json;
    this.type = typeOf(json["type"]);
    this.intOrString = json["x-kubernetes-int-or-string"] === true;
    this.preserveUnknown = json["x-kubernetes-preserve-unknown-fields"] === true;
    this.embeddedResource = json["x-kubernetes-embedded-resource"] === true;
    this.nullable = json["nullable"] === true;
    this.default = json["default"] === undefined ? undefined : cloneJson(json["default"]);
    this.format = text(json["format"]);
    this.required = strings(json["required"]);
    this.enum = Array.isArray(json["enum"]) ? (json["enum"] as readonly JsonValue[]) : undefined;
    const listType = json["x-kubernetes-list-type"];
    this.listTypeGiven = listType !== undefined;
    this.listType = listType === "map" || listType === "set" ? listType : "atomic";
    this.listMapKeys = strings(json["x-kubernetes-list-map-keys"]);
    this.atomicMap = json["x-kubernetes-map-type"] === "atomic";
    this.rules = celRules(json["x-kubernetes-validations"]);
    this.limits = {
      minimum: numeric(json["minimum"]),
      exclusiveMinimum: json["exclusiveMinimum"] === true,
      maximum: numeric(json["maximum"]),
      exclusiveMaximum: json["exclusiveMaximum"] === true,
      multipleOf: numeric(json["multipleOf"]),
      minLength: numeric(json["minLength"]),
      maxLength: numeric(json["maxLength"]),
      minItems: numeric(json["minItems"]),
      maxItems: numeric(json["maxItems"]),
      uniqueItems: json["uniqueItems"] === true,
      minProperties: numeric(json["minProperties"]),
      maxProperties: numeric(json["maxProperties"]),
    };
  }

  #child(key: string, source: JsonValue | undefined): SchemaNode {
    let node = this.#children.get(key);
    if (!node) this.#children.set(key, (node = new SchemaNode(source)));
    return node;
  }

  get propertyNames(): readonly string[] {
    const properties = this.#source["properties"];
    return isJsonObject(properties) ? Object.keys(properties) : [];
  }

  property(name: string): SchemaNode | undefined {
    const properties = this.#source["properties"];
    return isJsonObject(properties) && Object.hasOwn(properties, name)
      ? this.#child(`p:${name}`, properties[name] as JsonValue)
      : undefined;
  }

  /** Schema of unnamed members; undefined when none are allowed. */
  get additional(): SchemaNode | undefined {
    const additional = this.#source["additionalProperties"];
    if (additional === undefined || additional === false) return undefined;
    return this.#child(
      "additional",
      additional === true ? { "x-kubernetes-preserve-unknown-fields": true } : additional,
    );
  }

  get items(): SchemaNode | undefined {
    const items = this.#source["items"];
    return items === undefined ? undefined : this.#child("items", items);
  }

  /** Value validations nested under a combinator. */
  combined(word: "allOf" | "anyOf" | "oneOf"): readonly SchemaNode[] {
    const list = this.#source[word];
    if (!Array.isArray(list)) return [];
    return (list as readonly JsonValue[]).map((source, i) => this.#child(`${word}:${i}`, source));
  }

  get not(): SchemaNode | undefined {
    const source = this.#source["not"];
    return source === undefined ? undefined : this.#child("not", source);
  }

  get patternText(): string | undefined {
    return text(this.#source["pattern"]);
  }

  /** The compiled `pattern`; Go's RE2 syntax read as JavaScript's. */
  get pattern(): RegExp | undefined {
    const source = this.patternText;
    if (source === undefined) return undefined;
    if (this.#pattern === undefined) this.#pattern = compilePattern(source) ?? null;
    return this.#pattern ?? undefined;
  }

  /** True when a default exists at this node or below. */
  get hasDefaults(): boolean {
    this.#hasDefaults ??= mentions(this.#source, "default");
    return this.#hasDefaults;
  }

  /** True when a CEL rule exists at this node or below. */
  get hasRules(): boolean {
    this.#hasRules ??= mentions(this.#source, "x-kubernetes-validations");
    return this.#hasRules;
  }

  /** Names of CRD schema keywords used here, for the structural check. */
  get source(): Source {
    return this.#source;
  }
}

type Source = Readonly<Record<string, JsonValue | undefined>>;

/** Bounds of a value. */
export interface Limits {
  readonly minimum: number | undefined;
  readonly exclusiveMinimum: boolean;
  readonly maximum: number | undefined;
  readonly exclusiveMaximum: boolean;
  readonly multipleOf: number | undefined;
  readonly minLength: number | undefined;
  readonly maxLength: number | undefined;
  readonly minItems: number | undefined;
  readonly maxItems: number | undefined;
  readonly uniqueItems: boolean;
  readonly minProperties: number | undefined;
  readonly maxProperties: number | undefined;
}

function mentions(source: JsonValue | undefined, keyword: string): boolean {
  if (Array.isArray(source)) return (source as readonly JsonValue[]).some((item) => mentions(item, keyword));
  if (!isJsonObject(source)) return false;
  if (source[keyword] !== undefined) return true;
  for (const word of ["items", "additionalProperties"]) if (mentions(source[word], keyword)) return true;
  const properties = source["properties"];
  return isJsonObject(properties) && Object.values(properties).some((child) => mentions(child, keyword));
}

function typeOf(value: JsonValue | undefined): SchemaType | undefined {
  switch (value) {
    case "object":
    case "array":
    case "string":
    case "integer":
    case "number":
    case "boolean":
      return value;
    default:
      return undefined;
  }
}

function text(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function numeric(value: JsonValue | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function strings(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value)
    ? (value as readonly JsonValue[]).filter((item): item is string => typeof item === "string")
    : [];
}

function celRules(value: JsonValue | undefined): readonly CelRuleSource[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly JsonValue[]).filter(isJsonObject).flatMap((rule) => {
    const source = text(rule["rule"]);
    if (source === undefined) return [];
    const message = text(rule["message"]);
    const messageExpression = text(rule["messageExpression"]);
    const reason = text(rule["reason"]);
    const fieldPath = text(rule["fieldPath"]);
    return [
      {
        rule: source,
        ...(message === undefined ? {} : { message }),
        ...(messageExpression === undefined ? {} : { messageExpression }),
        ...(reason === undefined ? {} : { reason }),
        ...(fieldPath === undefined ? {} : { fieldPath }),
        ...(typeof rule["optionalOldSelf"] === "boolean" ? { optionalOldSelf: rule["optionalOldSelf"] } : {}),
      },
    ];
  });
}
