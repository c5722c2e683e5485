import type { JsonValue } from "./json.ts";
import { SeamError } from "./errors.ts";

function invalid(expected: string): SeamError {
  return new SeamError({ reason: "NotCanonical", object: "canonical JSON", expected });
}

function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

function write(value: JsonValue | undefined, out: string[], depth: number): void {
  if (depth > MAX_DEPTH) throw invalid(`nesting is at most ${MAX_DEPTH} levels`);
  switch (typeof value) {
    case "boolean":
      out.push(value ? "true" : "false");
      return;
    case "number":
      if (!Number.isFinite(value)) throw invalid(`numbers are finite, found ${value}`);
      out.push(JSON.stringify(value));
      return;
    case "string":
      if (!isWellFormed(value)) throw invalid("strings hold no lone surrogates (RFC 8785 §3.2.2.2)");
      out.push(JSON.stringify(value));
      return;
    case "object": {
      if (value === null) {
        out.push("null");
        return;
      }
      if (Array.isArray(value)) {
        out.push("[");
        for (let i = 0; i < value.length; i++) {
          if (i > 0) out.push(",");
          write((value[i] as JsonValue | undefined) ?? null, out, depth + 1);
        }
        out.push("]");
        return;
      }
      out.push("{");
      let first = true;
      // RFC 8785 §3.2.3 sorts by UTF-16 code units, which is what JavaScript's default sort compares.
      const object = value as { readonly [key: string]: JsonValue | undefined };
      for (const key of Object.keys(object).sort()) {
        const member = object[key];
        if (member === undefined) continue;
        if (!isWellFormed(key)) throw invalid("member names hold no lone surrogates (RFC 8785 §3.2.2.2)");
        if (!first) out.push(",");
        first = false;
        out.push(JSON.stringify(key), ":");
        write(member, out, depth + 1);
      }
      out.push("}");
      return;
    }
    default:
      throw invalid(`values are JSON, found ${typeof value}`);
  }
}

const MAX_DEPTH = 100;

/** Refuses what is not UTF-8 and keeps a byte-order mark, which is not canonical. Holds nothing from one call to the next. */
const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * RFC 8785 (JCS) text of a JSON value. Members whose value is undefined do not exist.
 *
 * @throws SeamError `NotCanonical` for non-finite numbers, lone surrogates, or nesting deeper than 100
 */
export function canonicalJson(value: JsonValue): string {
  if (isSorted(value, 0)) {
    const text = JSON.stringify(value);
    if (!text.includes(SURROGATE_ESCAPE)) return text;
  }
  const out: string[] = [];
  write(value, out, 0);
  return out.join("");
}

/**
 * Parses bytes that must already be RFC 8785 canonical: the only reading of a signed body. Comparing the re-encoding with the
 * input refuses duplicate keys, other number forms, whitespace and invalid UTF-8 in one rule.
 *
 * @throws SeamError `NotCanonical`
 */
export function parseCanonicalJson(bytes: Uint8Array): JsonValue {
  let text: string;
  let value: JsonValue;
  try {
    text = STRICT_UTF8.decode(bytes);
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new SeamError(
      { reason: "NotCanonical", object: "canonical JSON", expected: "the bytes are one UTF-8 JSON value" },
      { cause },
    );
  }
  if (!isCanonical(value, text))
    throw invalid("the bytes are in RFC 8785 form (sorted keys, no duplicates, no whitespace)");
  return value;
}

/** True when `text`, of which `value` was read, is canonical. */
function isCanonical(value: JsonValue, text: string): boolean {
  return canonicalJson(value) === text;
}

/** How JSON.stringify writes a lone surrogate. */
const SURROGATE_ESCAPE = "\\ud";

/**
 * True when every name in `value` is in order and JSON.stringify leaves out or alters nothing: it writes numbers and strings as RFC 8785
 * does and keeps the order it finds, so there is nothing to encode by hand.
 */
function isSorted(value: JsonValue | undefined, depth: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value);
    case "object":
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (depth >= MAX_DEPTH) return false;
  if (Array.isArray(value)) {
    for (const element of value as readonly JsonValue[]) if (!isSorted(element, depth + 1)) return false;
    return true;
  }
  let previous: string | undefined;
  for (const name in value as { readonly [key: string]: JsonValue }) {
    if (previous !== undefined && previous >= name) return false;
    previous = name;
    const member = (value as { readonly [key: string]: JsonValue | undefined })[name];
    if (member !== undefined && !isSorted(member, depth + 1)) return false;
  }
  return true;
}
