import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, readdir, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { type Digest, digestOf, isDigest } from "../../base/digest.ts";
import { SeamError } from "../../base/errors.ts";
import { type JsonValue, isJsonObject } from "../../base/json.ts";
import { MAX_MANIFEST_BYTES } from "../artifact/limits.ts";
import { type Descriptor, IMAGE_INDEX, IMAGE_MANIFEST, parseJson, readDescriptor } from "../artifact/oci-image.ts";
import { withIndexLock } from "./index-lock.ts";
import type { PackBlobStore } from "./pack-blob-store.ts";

const REF_NAME = "org.opencontainers.image.ref.name";
const LAYOUT_VERSION = "1.0.0";
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const REPOSITORY = /^[a-z0-9]([-a-z0-9._:/]{0,510}[a-z0-9])?$/;
/** Most tags of one layout. */
const MAX_TAGS = 50_000;
/** Largest index.json, bytes. */
const MAX_INDEX_JSON_BYTES = 64 * 1024 * 1024;

/**
 * A pack store in an OCI image layout folder (`oci-layout`, `index.json`, `blobs/sha256`); tags stand in `index.json` as
 * `{repository}:{tag}` in the standard annotation, so that other OCI tools can read the folder. Blobs are written beside and renamed;
 * `index.json` changes under a lock and by rename: a crash leaves the old state or the new one.
 *
 * @throws SeamError `LayoutUnsupported` for a folder of another version, or what the file system refuses
 */
export async function openOciLayout(directory: string, clock: Clock = systemClock): Promise<PackBlobStore> {
  await mkdir(join(directory, "blobs", "sha256"), { recursive: true });
  const marker = join(directory, "oci-layout");
  const text = await readFile(marker, "utf8").catch(absent);
  if (text === undefined)
    await writeAtomically(directory, "oci-layout", JSON.stringify({ imageLayoutVersion: LAYOUT_VERSION }));
  else if (parseJson(Buffer.from(text), marker)["imageLayoutVersion"] !== LAYOUT_VERSION)
    throw new SeamError({
      reason: "LayoutUnsupported",
      object: marker,
      expected: `imageLayoutVersion is ${LAYOUT_VERSION}, found ${text.trim().slice(0, 100)}`,
      remedy: "use another folder, or a newer version of this program",
    });
  return new OciLayout(directory, clock);
}

class OciLayout implements PackBlobStore {
  readonly #directory: string;
  readonly #blobs: string;
  readonly #clock: Clock;

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#blobs = join(directory, "blobs", "sha256");
    this.#clock = clock;
  }

  async has(digest: Digest): Promise<boolean> {
    return (await stat(this.#path(digest)).catch(absent)) !== undefined;
  }

  async get(digest: Digest, maxBytes: number): Promise<Uint8Array> {
    const path = this.#path(digest);
    const info = await stat(path).catch(absent);
    if (info === undefined) throw notFound(digest, this.#directory);
    if (info.size > maxBytes)
      throw new SeamError({
        reason: "TooLarge",
        object: `blob ${digest}`,
        expected: `has at most ${maxBytes} bytes, found ${info.size}`,
      });
    const bytes = await readFile(path);
    const found = digestOf(bytes);
    if (found !== digest) throw mismatch(digest, found, path);
    return bytes;
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    const found = digestOf(bytes);
    if (found !== digest) throw mismatch(digest, found, "the bytes to be stored");
    // A file of the right size may still be a damaged one: it is written again unless its bytes are right.
    const held = await readFile(this.#path(digest)).catch(absent);
    if (held !== undefined && held.length === bytes.length && digestOf(held) === digest) return;
    await writeAtomically(this.#blobs, digest.slice(7), bytes);
  }

  async tag(repository: string, tag: string, descriptor: Descriptor): Promise<void> {
    if (!(await this.has(descriptor.digest))) throw notFound(descriptor.digest, this.#directory);
    const name = refName(repository, tag);
    const { mediaType, digest, size, artifactType, annotations } = descriptor;
    await this.#change((entries) => {
      const entry: Descriptor = {
        mediaType,
        digest,
        size,
        ...(artifactType === undefined ? {} : { artifactType }),
        annotations: { ...annotations, [REF_NAME]: name },
      };
      return [...entries.filter((e) => e.annotations?.[REF_NAME] !== name), entry];
    });
  }

  async untag(repository: string, tag: string): Promise<void> {
    const name = refName(repository, tag);
    await this.#change((entries) => entries.filter((e) => e.annotations?.[REF_NAME] !== name));
  }

  async resolve(repository: string, tag: string): Promise<Descriptor | undefined> {
    const name = refName(repository, tag);
    return (await this.#index()).find((e) => e.annotations?.[REF_NAME] === name);
  }

  async tags(repository: string): Promise<readonly string[]> {
    const names = (await this.#index()).flatMap((e) => splitRefName(e.annotations?.[REF_NAME]));
    return names
      .filter((n) => n.repository === repository)
      .map((n) => n.tag)
      .sort();
  }

  async repositories(): Promise<readonly string[]> {
    const names = (await this.#index()).flatMap((e) => splitRefName(e.annotations?.[REF_NAME]));
    return [...new Set(names.map((n) => n.repository))].sort();
  }

  async collectGarbage(minAgeMs: number): Promise<number> {
    return withIndexLock(this.#lockPath(), this.#clock, async () => {
      const reached = new Set<string>();
      for (const entry of await this.#index()) await this.#reach(entry, reached);
      let removed = 0;
      for (const name of await readdir(this.#blobs)) {
        if (reached.has(`sha256:${name}`)) continue;
        const path = join(this.#blobs, name);
        const info = await stat(path).catch(absent);
        if (info === undefined || this.#clock.now() - info.mtimeMs < minAgeMs) continue;
        await unlink(path).catch(absent);
        removed++;
      }
      return removed;
    });
  }

  /** Adds what a descriptor leads to. A manifest that cannot be read keeps only itself: garbage collection must not fail on it. */
  async #reach(descriptor: Descriptor, reached: Set<string>): Promise<void> {
    if (reached.has(descriptor.digest)) return;
    reached.add(descriptor.digest);
    if (descriptor.mediaType !== IMAGE_INDEX && descriptor.mediaType !== IMAGE_MANIFEST) return;
    const bytes = await readFile(this.#path(descriptor.digest)).catch(absent);
    if (bytes === undefined || bytes.length > MAX_MANIFEST_BYTES) return;
    const json = parseJson(bytes, `blob ${descriptor.digest}`);
    const children = [json["config"], ...listOf(json["layers"]), ...listOf(json["manifests"])];
    for (const child of children) {
      if (isJsonObject(child)) await this.#reach(readDescriptor(child, `blob ${descriptor.digest}`), reached);
    }
  }

  async #change(edit: (entries: readonly Descriptor[]) => readonly Descriptor[]): Promise<void> {
    await withIndexLock(this.#lockPath(), this.#clock, async () => {
      const before = await this.#index();
      const manifests = edit(before);
      if (manifests.length > MAX_TAGS && manifests.length > before.length)
        throw new SeamError({
          reason: "TooManyTags",
          object: this.#directory,
          expected: `holds at most ${MAX_TAGS} tags`,
          remedy: "remove packs that are no longer used",
        });
      const text = JSON.stringify({ schemaVersion: 2, mediaType: IMAGE_INDEX, manifests });
      await writeAtomically(this.#directory, "index.json", text);
    });
  }

  async #index(): Promise<readonly Descriptor[]> {
    const path = join(this.#directory, "index.json");
    const bytes = await readFile(path).catch(absent);
    if (bytes === undefined) return [];
    if (bytes.length > MAX_INDEX_JSON_BYTES)
      throw new SeamError({ reason: "TooLarge", object: path, expected: `has at most ${MAX_INDEX_JSON_BYTES} bytes` });
    return listOf(parseJson(bytes, path)["manifests"]).map((entry) => readDescriptor(entry, path));
  }

  #path(digest: Digest): string {
    if (!isDigest(digest))
      throw new SeamError({ reason: "DigestInvalid", object: String(digest), expected: "is sha256:…" });
    return join(this.#blobs, digest.slice(7));
  }

  #lockPath(): string {
    return join(this.#directory, ".lock.sqlite");
  }
}

function refName(repository: string, tag: string): string {
  if (!REPOSITORY.test(repository) || !TAG.test(tag))
    throw new SeamError({
      reason: "TagInvalid",
      object: `${repository}:${tag}`,
      expected: "is a lower-case repository path and a tag of letters, digits, dots, dashes and underscores",
      remedy: "use another pack name or version",
    });
  return `${repository}:${tag}`;
}

function splitRefName(name: string | undefined): readonly { readonly repository: string; readonly tag: string }[] {
  const colon = name?.lastIndexOf(":") ?? -1;
  return name === undefined || colon < 1 ? [] : [{ repository: name.slice(0, colon), tag: name.slice(colon + 1) }];
}

function listOf(value: unknown): readonly JsonValue[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
}

/** Writes beside, forces to disk, renames, and forces the folder: after it resolves a power cut loses nothing. */
async function writeAtomically(folder: string, name: string, content: Uint8Array | string): Promise<void> {
  const path = join(folder, name);
  const temporary = join(folder, `.${name.slice(0, 16)}.${randomUUID()}.tmp`);
  try {
    await writeFile(temporary, content, { flush: true, flag: "wx" });
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(absent);
    throw error;
  }
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function absent(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}

function notFound(digest: Digest, where: string): SeamError {
  return new SeamError({
    reason: "BlobNotFound",
    object: `blob ${digest}`,
    expected: `is held in ${where}`,
    remedy: "publish the pack again",
  });
}

function mismatch(digest: Digest, found: Digest, where: string): SeamError {
  return new SeamError({
    reason: "DigestMismatch",
    object: `blob ${digest}`,
    expected: `its bytes have that digest, found ${found} in ${where}`,
    remedy: "the content was altered; publish the pack again from its source",
  });
}
