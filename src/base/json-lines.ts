import type { JsonValue } from "./json.ts";

/** Values of a text with one JSON value per line; lines that cannot be read are left out. */
export function readJsonLines(text: string): readonly JsonValue[] {
  return text.split("\n").flatMap((line) => {
    if (line === "") return [];
    try {
      return [JSON.parse(line) as JsonValue];
    } catch {
      return []; // said above: the caller knows what it means that a line is missing
    }
  });
}
