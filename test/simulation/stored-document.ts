import { type IndexDocument } from "../../src/federation/index/index-document.ts";
import { parseIndex } from "../../src/federation/index/parse-index.ts";
import type { StoredIndex } from "../../src/federation/session/spoke/record.ts";
import { must } from "./world.ts";

const parsedBodies: WeakMap<Uint8Array, IndexDocument> = new WeakMap();

/** The document of an index that an agent stored. Bodies never change, so each is parsed once. */
export function storedDocument({ body }: StoredIndex): IndexDocument {
  const known = parsedBodies.get(body);
  if (known !== undefined) return known;
  const parsed = parseIndex(body);
  must(parsed.ok, "the stored index cannot be read");
  parsedBodies.set(body, parsed.document);
  return parsed.document;
}
