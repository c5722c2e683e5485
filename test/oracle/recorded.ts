import type { SnapshotContent } from "../../src/permissions/snapshot/content.ts";
import { ALPHABET, type RandomQuestion } from "./permission-worlds.ts";

/** Worlds and answers that a real API server gave once: (policy, request, answer) (permissions §16, oracle b). */
export interface Recording {
  /** Version of the server that answered. */
  readonly server: string;
  /** Texts that questions refer to by their number. */
  readonly texts: readonly string[];
  readonly worlds: readonly RecordedWorld[];
}

/** One world of a recording. */
export interface RecordedWorld {
  readonly content: SnapshotContent;
  /**
   * `[allowed, user, groups, verb, path]` of a path, `[allowed, user, groups, verb, apiGroup, resource, subresource, name, namespace]` of a
   * resource; every text by its number.
   */
  readonly answers: readonly (readonly (number | readonly number[])[])[];
}

/** Gives each text its number as they come. */
export class TextNumbers {
  readonly texts: string[] = [...new Set(Object.values(ALPHABET).flat())];
  readonly #numbers = new Map(this.texts.map((text, i) => [text, i]));

  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.texts.push(text);
    this.#numbers.set(text, this.texts.length - 1);
    return this.texts.length - 1;
  }
}

/** A question and its answer in numbers. */
export function recorded(
  { user, groups, request }: RandomQuestion,
  allowed: boolean,
  numbers: TextNumbers,
): RecordedWorld["answers"][number] {
  const rest =
    request.form === "path"
      ? [request.verb, request.path]
      : [request.verb, request.apiGroup, request.resource, request.subresource, request.name, request.namespace];
  return [
    allowed ? 1 : 0,
    numbers.of(user),
    groups.map((group) => numbers.of(group)),
    ...rest.map((text) => numbers.of(text)),
  ];
}

/** A recorded answer in words. @throws Error for a damaged recording */
export function replayed(
  answer: RecordedWorld["answers"][number],
  texts: readonly string[],
): RandomQuestion & { readonly allowed: boolean } {
  const [allowed, user, groups, ...rest] = answer;
  const text = (at: number | readonly number[] | undefined): string => {
    const found = typeof at === "number" ? texts[at] : undefined;
    if (found === undefined) throw new Error(`the recording has no text ${String(at)}`);
    return found;
  };
  const who = { allowed: allowed === 1, user: text(user), groups: typeof groups === "object" ? groups.map(text) : [] };
  const [verb, second, ...more] = rest.map(text);
  if (verb === undefined || second === undefined) throw new Error("the recording has a question without verb");
  if (more.length === 0) return { ...who, request: { form: "path", verb, path: second } };
  const [resource = "", subresource = "", name = "", namespace = ""] = more;
  return { ...who, request: { form: "resource", verb, apiGroup: second, resource, subresource, name, namespace } };
}
