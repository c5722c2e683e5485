import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";

/** A JSON value is not what the schema says. The path names the field. */
export class FieldMismatch extends Error {
  override readonly name = "FieldMismatch";
}

/** Strict reading of a JSON object: every member is asked for, anything left over is a mismatch. */
export class JsonFields {
  readonly #object: JsonObject;
  readonly #path: string;
  readonly #seen = new Set<string>();

  /** @throws FieldMismatch when `value` is no object */
  constructor(value: JsonValue | undefined, path: string) {
    if (!isJsonObject(value)) throw new FieldMismatch(`${path}: expected an object`);
    this.#object = value;
    this.#path = path;
  }

  #take(name: string): JsonValue | undefined {
    this.#seen.add(name);
    return this.#object[name];
  }

  #fail(name: string, expected: string): never {
    throw new FieldMismatch(`${this.path(name)}: expected ${expected}`);
  }

  path(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }

  text(name: string, pattern?: RegExp): string {
    const value = this.#take(name);
    if (typeof value !== "string" || (pattern !== undefined && !pattern.test(value)))
      this.#fail(name, pattern === undefined ? "a string" : `a string matching ${pattern.source}`);
    return value;
  }

  optionalText(name: string, pattern?: RegExp): string {
    return this.#object[name] === undefined ? "" : this.text(name, pattern);
  }

  boolean(name: string): boolean {
    const value = this.#take(name);
    if (typeof value !== "boolean") this.#fail(name, "a boolean");
    return value;
  }

  /** A safe integer in [min, max]. */
  integer(name: string, min: number, max: number): number {
    const value = this.#take(name);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max)
      this.#fail(name, `an integer from ${min} to ${max}`);
    return value;
  }

  oneOf<const T extends string>(name: string, allowed: readonly T[]): T {
    const value = this.#take(name);
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) this.#fail(name, `one of ${allowed.join(", ")}`);
    return found;
  }

  list(name: string, maxLength: number): readonly JsonValue[] {
    const value = this.#take(name);
    if (!Array.isArray(value)) this.#fail(name, "a list");
    if (value.length > maxLength) this.#fail(name, `at most ${maxLength} entries`);
    return value as readonly JsonValue[];
  }

  /** A list of strings; absent is empty. */
  texts(name: string, maxLength: number): readonly string[] {
    if (this.#object[name] === undefined) return NO_TEXTS;
    const list = this.list(name, maxLength);
    for (const entry of list) if (typeof entry !== "string") this.#fail(name, "strings only");
    return list as readonly string[];
  }

  object(name: string): JsonFields {
    return new JsonFields(this.#take(name), this.path(name));
  }

  /** @throws FieldMismatch for a member that nobody asked for */
  end(): void {
    for (const name of Object.keys(this.#object))
      if (!this.#seen.has(name)) throw new FieldMismatch(`${this.path(name)}: unknown member`);
  }
}

const NO_TEXTS: readonly string[] = [];
