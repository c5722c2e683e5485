import type { KubeObject } from "../../../api/object.ts";
import { badRequest } from "../status-errors.ts";

/** One comma-separated term of a field selector. */
export interface FieldRequirement {
  readonly path: string;
  readonly equal: boolean;
  readonly value: string;
}

const TERM = /^(?<path>[^=!]+?)\s*(?<op>==|=|!=)\s*(?<value>.*)$/s;

/** Value of a dotted path as a field selector compares it; missing fields are the empty string. */
function fieldText(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const part of path.split(".")) {
    value =
      typeof value === "object" && value !== null && Object.hasOwn(value, part)
        ? (value as Readonly<Record<string, unknown>>)[part]
        : undefined;
  }
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "boolean":
      return String(value);
    default:
      return "";
  }
}

function splitTerms(text: string): string[] {
  const found: string[] = [];
  let term = "";
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === "\\" && i + 1 < text.length) {
      term += text.charAt(++i); // `\,` `\=` and `\\` stand for themselves
    } else if (c === ",") {
      found.push(term);
      term = "";
    } else {
      term += c;
    }
  }
  found.push(term);
  return found.filter((part) => part !== "");
}

/**
 * Parses Kubernetes field selector syntax. `supported` are the paths of the kind beyond metadata.name and metadata.namespace.
 *
 * @throws ApiStatusError 400 for syntax and for a field the kind cannot be selected by
 */
export function parseFieldSelector(
  text: string,
  supported: ReadonlySet<string>,
  custom = false,
): readonly FieldRequirement[] {
  return splitTerms(text).map((term) => {
    const parts = TERM.exec(term)?.groups;
    if (!parts) {
      throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    }
    const path = (parts["path"] ?? "").trim();
    if (path !== "metadata.name" && path !== "metadata.namespace" && !supported.has(path)) {
      // Built-in kinds without fields of their own word it differently from the rest.
      throw badRequest(
        supported.size > 0 || custom
          ? `field label not supported: ${path}`
          : `${JSON.stringify(path)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
      );
    }
    return { path, equal: parts["op"] !== "!=", value: parts["value"] ?? "" };
  });
}

/** True when `object` meets every requirement. */
export function matchesFields(rules: readonly FieldRequirement[], object: KubeObject): boolean {
  return rules.every((rule) => (fieldText(object, rule.path) === rule.value) === rule.equal);
}
