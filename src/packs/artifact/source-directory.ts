import { readFile, readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { SeamError } from "../../base/errors.ts";
import { BUCKETS, type Bucket } from "./bucket.ts";
import type { PackProblem } from "./pack-problem.ts";

/** One file of a pack's source directory. */
export interface SourceFile {
  /** Path relative to the directory, with forward slashes. */
  readonly file: string;
  readonly text: string;
  /** Set when the file lies under `rbac/`, `cluster-scoped/` or `workload/`: its author says where the content belongs. */
  readonly placedIn?: Bucket;
}

/** Largest source file, bytes. */
export const MAX_SOURCE_FILE_BYTES = 64 * 1024 * 1024;
/** Most files of one pack. */
export const MAX_SOURCE_FILES = 5000;
/** Most folders deep. */
const MAX_DEPTH = 16;

const MANIFEST = /\.(ya?ml|json)$/i;

/**
 * Reads every `.yaml`, `.yml` and `.json` file below `directory`, in name order. Hidden entries are skipped; links are a problem,
 * other files a warning.
 *
 * @throws SeamError `DirectoryUnreadable`
 */
export async function readSourceDirectory(directory: string): Promise<{
  readonly files: readonly SourceFile[];
  readonly problems: readonly PackProblem[];
  readonly warnings: readonly PackProblem[];
}> {
  const files: SourceFile[] = [];
  const problems: PackProblem[] = [];
  const warnings: PackProblem[] = [];
  await walk(directory, 0);
  return { files, problems, warnings };

  async function walk(folder: string, depth: number): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
      throw new SeamError(
        {
          reason: "DirectoryUnreadable",
          object: folder,
          expected: "must be a readable directory of Kubernetes manifests",
          remedy: "name the folder that holds the pack's YAML files",
        },
        { cause },
      );
    });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith(".")) continue;
      const path = join(folder, entry.name);
      const file = relative(directory, path).split(sep).join("/");
      if (entry.isDirectory()) {
        if (depth < MAX_DEPTH) await walk(path, depth + 1);
        else problems.push(problem(file, "TooDeep", `folders nest deeper than ${MAX_DEPTH}`, "flatten the folders"));
      } else if (!entry.isFile()) {
        problems.push(problem(file, "LinkRefused", "is a link or special file", "replace it by a regular file"));
      } else if (!MANIFEST.test(entry.name)) {
        warnings.push(problem(file, "FileIgnored", "is no .yaml, .yml or .json file and is ignored", "nothing to do"));
      } else await read(path, file);
    }
  }

  async function read(path: string, file: string): Promise<void> {
    if (files.length >= MAX_SOURCE_FILES) {
      if (!problems.some(({ reason }) => reason === "TooManyFiles"))
        problems.push(problem(file, "TooManyFiles", `a pack has at most ${MAX_SOURCE_FILES} files`, "split the pack"));
      return;
    }
    const { size } = await stat(path);
    if (size > MAX_SOURCE_FILE_BYTES) {
      problems.push(
        problem(
          file,
          "TooLarge",
          `has ${size} bytes, more than ${MAX_SOURCE_FILE_BYTES}`,
          "split the file or the pack",
        ),
      );
      return;
    }
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
    } catch {
      problems.push(problem(file, "NotUtf8", "is not UTF-8 text", "save it as UTF-8"));
      return;
    }
    const top = file.slice(0, Math.max(0, file.indexOf("/")));
    const placedIn = BUCKETS.find((bucket) => bucket === top);
    files.push(placedIn ? { file, text, placedIn } : { file, text });
  }
}

function problem(file: string, reason: string, text: string, remedy: string): PackProblem {
  return { file, line: 1, reason, text, remedy };
}
