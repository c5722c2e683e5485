import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";

/** A JSON value is not what the schema says. The path names the field. */
export class FieldMismatch extends Error {
  override readonly name = "FieldMismatch";
}

/** Where in a document a value stands. Its text is made when something is wrong there: most of thousands of values are right. */
export interface Place {
  readonly within: Place | undefined;
  readonly member: string;
  /** Position in a list; -1 for a member that is none. */
  readonly position: number;
}

/** The document itself. */
export const NOWHERE: Place = { within: undefined, member: "", position: -1 };

function textOf({ within, member, position }: Place): string {
  const before = within === undefined ? "" : textOf(within);
  const own = position < 0 ? member : `${member}[${position}]`;
  return before === "" ? own : `${before}.${own}`;
}

/** Strict reading of a JSON object: every member is asked for, once; anything left over is a mismatch. */
export class JsonFields {
  readonly #object: JsonObject;
  readonly #place: Place;
  /** How many members were asked for and are there. */
  #taken = 0;

  /** @throws FieldMismatch when `value` is no object */
  constructor(value: JsonValue | undefined, place: Place) {
    if (!isJsonObject(value)) throw new FieldMismatch(`${textOf(place)}: expected an object`);
    this.#object = value;
    this.#place = place;
  }

  #take(name: string): JsonValue | undefined {
    const value = this.#object[name];
    if (value !== undefined) this.#taken++;
    return value;
  }

  #fail(name: string, expected: string): never {
    throw new FieldMismatch(`${this.path(name)}: expected ${expected}`);
  }

  /** Text of this object's place, or of a member's. */
  path(name?: string): string {
    return textOf(name === undefined ? this.#place : { within: this.#place, member: name, position: -1 });
  }

  /** Place of an entry of a member that is a list. */
  entry(name: string, position: number): Place {
    return { within: this.#place, member: name, position };
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
    return new JsonFields(this.#take(name), { within: this.#place, member: name, position: -1 });
  }

  /** @throws FieldMismatch for a member that nobody asked for; `known` are those that may be asked for */
  end(known: readonly string[]): void {
    let members = 0;
    for (const name in this.#object) {
      if (!known.includes(name)) throw new FieldMismatch(`${this.path(name)}: unknown member`);
      members++;
    }
    if (members !== this.#taken) throw new FieldMismatch(`${this.path()}: a member was not read`);
  }
}

const NO_TEXTS: readonly string[] = [];
