import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";
import { SeamError } from "../../base/errors.ts";

/** Longest string member of a signed body unless a field says otherwise, UTF-16 code units. */
const MAX_TEXT = 4096;

/**
 * Reads a JSON object member by member and refuses what it does not know. A signed body is read only this way: a member that an
 * older reader would silently skip may be the one that says "remove".
 */
export class StrictObject {
  readonly #value: JsonObject;
  readonly #object: string;
  readonly #path: string;
  readonly #seen = new Set<string>();

  /**
   * @param object what the error says it is about, for example `pack manifest`
   * @param path field path of `value` within it; empty for the whole
   * @throws SeamError `BodyInvalid` when `value` is no object
   */
  constructor(value: JsonValue | undefined, object: string, path = "") {
    this.#object = object;
    this.#path = path;
    if (!isJsonObject(value)) throw this.#error("", `is a JSON object, found ${kindOf(value)}`);
    this.#value = value;
  }

  /** A required string of 1 to `max` code units that matches `pattern` when one is given. */
  text(
    name: string,
    options: { readonly pattern?: RegExp; readonly max?: number; readonly empty?: boolean } = {},
  ): string {
    const value = this.#take(name);
    if (typeof value !== "string") throw this.#error(name, `is a string, found ${kindOf(value)}`);
    const max = options.max ?? MAX_TEXT;
    if (value.length > max) throw this.#error(name, `has at most ${max} characters, found ${value.length}`);
    if (value === "" && options.empty !== true) throw this.#error(name, "is not empty");
    if (options.pattern && !options.pattern.test(value))
      throw this.#error(name, `matches ${options.pattern.source}, found ${JSON.stringify(value.slice(0, 80))}`);
    return value;
  }

  /** Like {@link text}, undefined when absent. */
  optionalText(name: string, options: { readonly pattern?: RegExp; readonly max?: number } = {}): string | undefined {
    return this.#present(name) ? this.text(name, options) : undefined;
  }

  /** One of `values`. */
  choice<T extends string>(name: string, values: readonly T[]): T {
    const text = this.text(name);
    const found = values.find((value) => value === text);
    if (found === undefined) throw this.#error(name, `is one of ${values.join(", ")}, found ${JSON.stringify(text)}`);
    return found;
  }

  /** Like {@link choice}, undefined when absent. */
  optionalChoice<T extends string>(name: string, values: readonly T[]): T | undefined {
    return this.#present(name) ? this.choice(name, values) : undefined;
  }

  /** A safe integer in [min, max]. */
  integer(name: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#take(name);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max)
      throw this.#error(name, `is an integer from ${min} to ${max}, found ${kindOf(value)}`);
    return value;
  }

  /** Like {@link integer}, undefined when absent. */
  optionalInteger(name: string, min = 0, max = Number.MAX_SAFE_INTEGER): number | undefined {
    return this.#present(name) ? this.integer(name, min, max) : undefined;
  }

  /** A boolean. */
  boolean(name: string): boolean {
    const value = this.#take(name);
    if (typeof value !== "boolean") throw this.#error(name, `is true or false, found ${kindOf(value)}`);
    return value;
  }

  /** Like {@link boolean}, undefined when absent. */
  optionalBoolean(name: string): boolean | undefined {
    return this.#present(name) ? this.boolean(name) : undefined;
  }

  /** A nested object. */
  object(name: string): StrictObject {
    return new StrictObject(this.#take(name), this.#object, this.#at(name));
  }

  /** Like {@link object}, undefined when absent. */
  optionalObject(name: string): StrictObject | undefined {
    return this.#present(name) ? this.object(name) : undefined;
  }

  /** A list of at most `max` objects. */
  objects(name: string, max: number): readonly StrictObject[] {
    return this.#list(name, max).map((entry, i) => new StrictObject(entry, this.#object, `${this.#at(name)}[${i}]`));
  }

  /** Like {@link objects}, undefined when absent. */
  optionalObjects(name: string, max: number): readonly StrictObject[] | undefined {
    return this.#present(name) ? this.objects(name, max) : undefined;
  }

  /** A list of at most `max` non-empty strings; undefined when absent. */
  optionalTexts(name: string, max: number): readonly string[] | undefined {
    if (!this.#present(name)) return undefined;
    return this.#list(name, max).map((entry, i) => {
      if (typeof entry !== "string" || entry === "" || entry.length > MAX_TEXT)
        throw this.#error(`${name}[${i}]`, `is a string of 1 to ${MAX_TEXT} characters, found ${kindOf(entry)}`);
      return entry;
    });
  }

  /** Must be called last: refuses members nobody asked for. */
  end(): void {
    for (const name of Object.keys(this.#value)) {
      if (!this.#seen.has(name)) throw this.#error(name, "is not a member of this version of the format");
    }
  }

  #list(name: string, max: number): readonly JsonValue[] {
    const value = this.#take(name);
    if (!Array.isArray(value)) throw this.#error(name, `is a list, found ${kindOf(value)}`);
    const list = value as readonly JsonValue[];
    if (list.length > max) throw this.#error(name, `has at most ${max} entries, found ${list.length}`);
    return list;
  }

  #present(name: string): boolean {
    return this.#value[name] !== undefined;
  }

  #take(name: string): JsonValue | undefined {
    this.#seen.add(name);
    return this.#value[name];
  }

  #at(name: string): string {
    if (this.#path === "") return name;
    return name === "" ? this.#path : `${this.#path}.${name}`;
  }

  #error(name: string, expected: string): SeamError {
    return new SeamError({ reason: "BodyInvalid", object: this.#object, field: this.#at(name), expected });
  }
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "number" ? String(value) : typeof value;
}
