import { MESSAGES, ROOTS } from "../../built-in-messages.ts";
import { messagePairs } from "../../message-pairs.ts";
import { isMap, type Json, type JsonMap } from "../json/mutable-json.ts";
import { fieldPath, itemPath } from "../schema/path.ts";

/** One member of a built-in type. */
interface Member {
  readonly shape: "one" | "list" | "map";
  /** Id of its message; undefined for scalars and for what is open. */
  readonly message: string | undefined;
  /** Written also when it is empty (no `omitempty` in Go). */
  readonly always: boolean;
}

type Members = ReadonlyMap<string, Member>;

/** The members of built-in kinds, read from the table of their protobuf messages when first needed. */
export class BuiltinMembers {
  readonly #roots = messagePairs(ROOTS);
  readonly #messages = messagePairs(MESSAGES);
  readonly #read = new Map<string, Members>();

  /** Removes members that the kind does not have, and says which: typed Go decoding does not see them. Nothing for a kind that is not in the table. */
  prune(object: JsonMap, apiVersion: string, kind: string): string[] {
    const id = this.#roots.get(`${apiVersion}/${kind}`);
    const unknown: string[] = [];
    if (id !== undefined) this.#prune(object, id, "", unknown);
    return unknown;
  }

  /** Removes empty lists and maps, as Go's `omitempty` does. */
  dropEmpty(object: JsonMap, apiVersion: string, kind: string): void {
    const id = this.#roots.get(`${apiVersion}/${kind}`);
    if (id !== undefined) this.#dropEmpty(object, id);
  }

  #prune(map: JsonMap, id: string, path: string, unknown: string[]): void {
    const members = this.#membersOf(id);
    for (const name of Object.keys(map)) {
      if (path === "" && (name === "apiVersion" || name === "kind")) continue;
      const member = members.get(name);
      if (member === undefined) {
        unknown.push(fieldPath(path, name));
        delete map[name];
        continue;
      }
      const { message } = member;
      if (message === undefined) continue;
      each(map[name] ?? null, member, fieldPath(path, name), (value, at) => this.#prune(value, message, at, unknown));
    }
  }

  #dropEmpty(map: JsonMap, id: string): void {
    for (const [name, member] of this.#membersOf(id)) {
      const value = map[name];
      if (value === undefined || value === null) continue;
      const { message } = member;
      if (message !== undefined) each(value, member, "", (below) => this.#dropEmpty(below, message));
      if (member.always) continue;
      if (member.shape === "list" ? Array.isArray(value) && value.length === 0 : isEmptyMap(member, value))
        delete map[name];
    }
  }

  #membersOf(id: string): Members {
    const known = this.#read.get(id);
    if (known !== undefined) return known;
    const members = new Map<string, Member>();
    this.#read.set(id, members);
    for (const field of (this.#messages.get(id) ?? "").split(" ")) {
      const match = /^\d+([=!]?)([^:]*):(\*|\[\]|\{\})?\.?(\w+)$/.exec(field);
      if (match === null) continue;
      const [, flag, name = "", shape, type = ""] = match;
      if (flag === "=") for (const [inlined, member] of this.#membersOf(type)) members.set(inlined, member);
      else
        members.set(name, {
          shape: shape === "[]" ? "list" : shape === "{}" ? "map" : "one",
          message: this.#messages.has(type) ? type : undefined,
          always: flag === "!",
        });
    }
    return members;
  }
}

function isEmptyMap(member: Member, value: Json): boolean {
  return member.shape === "map" && isMap(value) && Object.keys(value).length === 0;
}

/** Calls `visit` with every object that a member holds. */
function each(value: Json, { shape }: Member, path: string, visit: (value: JsonMap, path: string) => void): void {
  if (shape === "one") {
    if (isMap(value)) visit(value, path);
  } else if (shape === "list") {
    if (Array.isArray(value))
      value.forEach((item, index) => {
        if (isMap(item)) visit(item, itemPath(path, index));
      });
  } else if (isMap(value)) {
    for (const [key, item] of Object.entries(value)) if (isMap(item)) visit(item, fieldPath(path, key));
  }
}
