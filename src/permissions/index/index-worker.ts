import { parentPort } from "node:worker_threads";
import { loadContent } from "../snapshot/load-content.ts";
import { SnapshotRefused } from "../snapshot/snapshot-failure.ts";
import { compileIndex } from "./compile.ts";
import type { CompiledStrings, CompiledTables } from "./compiled-tables.ts";
import { type IndexJob, type IndexPart, slices } from "./index-parts.ts";

/** Worker side of `buildIndex`: hashes, parses and compiles away from the event loop, and hands over typed arrays without a copy. */
function run(job: IndexJob, post: (part: IndexPart, transfer?: ArrayBuffer[]) => void): void {
  try {
    const content = loadContent(job.bytes, job.contentHash);
    const { tables, strings } = compileIndex(content);
    for (const table of Object.keys(strings) as (keyof CompiledStrings)[])
      for (const slice of slices(strings[table], () => 1)) post({ part: "strings", table, strings: slice });
    const { subjects, ruleSets, profiles, ...header } = content;
    for (const slice of slices(subjects, ({ bindings }) => 1 + bindings.length))
      post({ part: "subjects", subjects: slice });
    for (const slice of slices(ruleSets, ({ rules }) => rules.length)) post({ part: "ruleSets", ruleSets: slice });
    for (const slice of slices(profiles, () => 1)) post({ part: "profiles", profiles: slice });
    post({ part: "done", tables, header }, buffersOf(tables));
  } catch (error) {
    if (!(error instanceof SnapshotRefused)) throw error;
    post({ part: "refused", code: error.code, detail: error.message });
  }
}

function buffersOf(tables: CompiledTables): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = [];
  for (const value of [...tables.pages, ...Object.values(tables)] as unknown[])
    if (ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer) buffers.push(value.buffer);
  return buffers;
}

const port = parentPort;
port?.once("message", (job: IndexJob) => run(job, (part, transfer) => port.postMessage(part, transfer ?? [])));
