import { type JsonObject, isJsonObject } from "../../base/json.ts";

/** Reads the members of a body by their types and notes every one that is of another. */
export class BodyFields {
  readonly faults: string[];
  readonly #object: JsonObject;
  readonly #path: string;

  constructor(object: JsonObject, path = "", faults: string[] = []) {
    this.#object = object;
    this.#path = path;
    this.faults = faults;
  }

  has(name: string): boolean {
    return this.#member(name) !== undefined;
  }

  /** Text; empty when absent. */
  text(name: string): string {
    const value = this.#member(name);
    if (typeof value === "string") return value;
    if (value !== undefined) this.#fault(name, "must be a string");
    return "";
  }

  /** Texts; none when absent. */
  texts(name: string): readonly string[] {
    const value = this.#member(name);
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((entry): entry is string => typeof entry === "string")) return value;
    this.#fault(name, "must be an array of strings");
    return [];
  }

  /** Members of an object; those of an empty one when absent. */
  object(name: string): BodyFields {
    const value = this.#member(name);
    if (value !== undefined && !isJsonObject(value)) this.#fault(name, "must be an object");
    return new BodyFields(isJsonObject(value) ? value : {}, `${this.#path}${name}.`, this.faults);
  }

  fault(name: string, expected: string): void {
    this.#fault(name, expected);
  }

  /** Own members only; null is absent, as Kubernetes reads it. */
  #member(name: string): JsonObject[string] {
    return Object.hasOwn(this.#object, name) ? (this.#object[name] ?? undefined) : undefined;
  }

  #fault(name: string, expected: string): void {
    this.faults.push(`${this.#path}${name} ${expected}`);
  }
}
