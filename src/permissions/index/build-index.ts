import { Worker } from "node:worker_threads";
import { expandedEntries } from "../rules/rule-validation.ts";
import type { SnapshotContent } from "../snapshot/content.ts";
import { loadContent } from "../snapshot/load-content.ts";
import { MAX_CONTENT_BYTES } from "../snapshot/limits.ts";
import { SnapshotRefused } from "../snapshot/snapshot-failure.ts";
import type { CompiledStrings } from "./compiled-tables.ts";
import type { IndexJob, IndexPart } from "./index-parts.ts";
import { type IndexStrings, PermissionIndex, indexOf } from "./permission-index.ts";
import { StringTable } from "./string-table.ts";

/** Expanded entries and bindings above which the index is built off the event loop (permissions §10.4). */
export const OFF_LOOP_ENTRIES = 50_000;
/** Content above which even parsing happens off the event loop, bytes. */
export const OFF_LOOP_BYTES = 1024 * 1024;

/** Options of {@link buildIndex}. */
export interface BuildIndexOptions {
  readonly signal: AbortSignal;
  /** Overrides {@link OFF_LOOP_ENTRIES}; for tests. */
  readonly offLoopEntries?: number;
  /** True while nobody is served yet: whatever its size, it is built here, since starting a worker costs more than it saves. */
  readonly atStart?: boolean;
}

/**
 * Verifies content against its hash, parses and compiles it; large content in a worker, so that the event loop is never held long.
 *
 * @throws SnapshotRefused with the code of the first check that fails; the signal's reason when it aborts
 */
export async function buildIndex(
  bytes: Uint8Array,
  contentHash: string,
  options: BuildIndexOptions,
): Promise<PermissionIndex> {
  if (bytes.length > MAX_CONTENT_BYTES)
    throw new SnapshotRefused("TOO_LARGE", `content has ${bytes.length} bytes, at most ${MAX_CONTENT_BYTES}`);
  if (options.atStart === true) return indexOf(loadContent(bytes, contentHash));
  if (bytes.length <= OFF_LOOP_BYTES) {
    const content = loadContent(bytes, contentHash);
    if (weight(content) <= (options.offLoopEntries ?? OFF_LOOP_ENTRIES)) return indexOf(content);
  }
  return buildInWorker({ bytes, contentHash }, options.signal);
}

function weight(content: SnapshotContent): number {
  let entries = 0;
  for (const { rules } of content.ruleSets)
    for (const rule of rules) entries += expandedEntries(rule) * Math.max(1, rule.verbs.length);
  for (const { bindings } of content.subjects) entries += bindings.length;
  return entries;
}

/** This file runs as TypeScript in development and as JavaScript in images. */
const WORKER_FILE = import.meta.url.endsWith(".ts") ? "./index-worker.ts" : "./index-worker.js";

async function buildInWorker(job: IndexJob, signal: AbortSignal): Promise<PermissionIndex> {
  signal.throwIfAborted();
  const worker = new Worker(new URL(WORKER_FILE, import.meta.url), { name: "permission-index" });
  const assembly = new Assembly();
  try {
    return await new Promise<PermissionIndex>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`index worker ended with code ${code} before it answered`)));
      worker.on("message", (part: IndexPart) => {
        try {
          const index = assembly.add(part);
          if (index !== undefined) resolve(index);
        } catch (error) {
          reject(error as Error);
        }
      });
      worker.postMessage(job);
    });
  } finally {
    await worker.terminate();
  }
}

/** Puts the worker's pieces together, a message at a time. */
class Assembly {
  readonly #strings: IndexStrings = {
    apiGroups: new StringTable(),
    resources: new StringTable(),
    verbs: new StringTable(),
    names: new StringTable(),
    namespaces: new StringTable(),
    users: new StringTable(),
    groups: new StringTable(),
  } satisfies Record<keyof CompiledStrings, StringTable>;
  readonly #subjects: SnapshotContent["subjects"][number][] = [];
  readonly #ruleSets: SnapshotContent["ruleSets"][number][] = [];
  readonly #profiles: SnapshotContent["profiles"][number][] = [];

  /** The index once the last piece came. @throws SnapshotRefused */
  add(part: IndexPart): PermissionIndex | undefined {
    switch (part.part) {
      case "strings":
        for (const text of part.strings) this.#strings[part.table].intern(text);
        return undefined;
      case "subjects":
        this.#subjects.push(...part.subjects);
        return undefined;
      case "ruleSets":
        this.#ruleSets.push(...part.ruleSets);
        return undefined;
      case "profiles":
        this.#profiles.push(...part.profiles);
        return undefined;
      case "refused":
        throw new SnapshotRefused(part.code, part.detail);
      case "done":
        return new PermissionIndex(
          { ...part.header, subjects: this.#subjects, ruleSets: this.#ruleSets, profiles: this.#profiles },
          part.tables,
          this.#strings,
        );
    }
  }
}
