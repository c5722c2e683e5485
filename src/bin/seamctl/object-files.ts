import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { text as readStream } from "node:stream/consumers";
import type { Unstructured } from "../../api/object.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { type JsonValue, isJsonObject } from "../../base/json.ts";
import { problemText } from "../../packs/artifact/pack-problem.ts";
import { parseYaml } from "../../packs/artifact/yaml-documents.ts";

/** Largest file, bytes. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** Most objects of one command. */
const MAX_OBJECTS = 100_000;
const MANIFEST = /\.(ya?ml|json)$/;

/** An object with the place it was read from. */
export interface ObjectInFile {
  readonly object: Unstructured;
  /** `file:line`. */
  readonly at: string;
}

/**
 * Reads objects from files, directories (their `*.yaml`, `*.yml` and `*.json`, sorted, not below) and `-` (standard input), as
 * `kubectl -f` does; a `List` is its items.
 *
 * @throws SeamError `FilesInvalid` with everything that is wrong, or `FileUnreadable`
 */
export async function readObjectFiles(paths: readonly string[]): Promise<readonly ObjectInFile[]> {
  const problems: string[] = [];
  const objects: ObjectInFile[] = [];
  for (const file of (await Promise.all(paths.map(filesOf))).flat()) {
    const parsed = parseYaml(await textOf(file), file);
    problems.push(...parsed.problems.map(problemText));
    for (const { value, line } of parsed.documents) collect(value, `${file}:${line}`, objects, problems);
    if (objects.length > MAX_OBJECTS)
      problems.push(`${file}: more than ${MAX_OBJECTS} objects; use fewer files at once`);
    if (problems.length > 0 && objects.length > MAX_OBJECTS) break;
  }
  if (problems.length > 0)
    throw new SeamError({
      reason: "FilesInvalid",
      object: paths.join(", "),
      expected: `${problems.length} ${problems.length === 1 ? "problem" : "problems"}\n${problems.slice(0, 100).join("\n")}`,
    });
  return objects;
}

function collect(value: JsonValue, at: string, objects: ObjectInFile[], problems: string[]): void {
  const list = isJsonObject(value) ? value["items"] : undefined;
  if (
    isJsonObject(value) &&
    typeof value["kind"] === "string" &&
    value["kind"].endsWith("List") &&
    Array.isArray(list)
  ) {
    const { apiVersion, kind } = value;
    for (const item of list as readonly JsonValue[])
      // Items of a typed list, as the API server writes them, leave their kind out.
      collect(
        isJsonObject(item) && item["kind"] === undefined && kind !== "List" && apiVersion !== undefined
          ? { ...item, apiVersion, kind: kind.slice(0, -"List".length) }
          : item,
        at,
        objects,
        problems,
      );
    return;
  }
  const metadata = isJsonObject(value) ? value["metadata"] : undefined;
  if (isJsonObject(value) && isJsonObject(metadata)) {
    const { apiVersion, kind } = value;
    const { name } = metadata;
    if (typeof apiVersion === "string" && typeof kind === "string" && typeof name === "string") {
      objects.push({ object: { ...value, apiVersion, kind, metadata: { ...metadata, name } }, at });
      return;
    }
  }
  problems.push(`${at}: an object has apiVersion, kind and metadata.name; complete it or take it out`);
}

async function filesOf(path: string): Promise<readonly string[]> {
  if (path === "-") return [path];
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => MANIFEST.test(name)).sort();
    if (names.length > 0) return names.map((name) => join(path, name));
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw new SeamError({
    reason: "FileUnreadable",
    object: path,
    expected: "a directory with *.yaml, *.yml or *.json files, found none",
    remedy: "name the files",
  });
}

async function textOf(file: string): Promise<string> {
  if (file === "-") return readStream(process.stdin);
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) throw new Error(`${size} bytes, at most ${MAX_FILE_BYTES}`);
    return await readFile(file, "utf8");
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(object: string, cause: unknown): SeamError {
  return new SeamError(
    { reason: "FileUnreadable", object, expected: `must be a readable file or directory (${errorMessage(cause)})` },
    { cause },
  );
}
