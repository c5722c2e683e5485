import { type Digest, digestOf } from "../../../../base/digest.ts";
import { SeamError } from "../../../../base/errors.ts";
import {
  MAX_SIGNED_MANIFEST_BYTES,
  type PackManifest,
  parsePackManifest,
} from "../../../../packs/manifest/pack-manifest.ts";
import { EMPTY_CONFIG, IMAGE_MANIFEST, parseJson, readDescriptor } from "../../../../packs/artifact/oci-image.ts";
import { MAX_MANIFEST_BYTES } from "../../../../packs/artifact/limits.ts";
import { type ReadPack, readPack } from "../../../../packs/artifact/read-pack.ts";
import type { PackBlobReader } from "../../../../packs/artifact/pack-blob-reader.ts";
import type { PackBlobStore } from "../../../../packs/store/pack-blob-store.ts";
import { decodeEnvelope } from "../../../../trust/dsse.ts";

/** A pack the tenant holds: what was signed, and what it names. */
export interface HeldPack extends ReadPack {
  readonly manifest: PackManifest;
  /** Digest of the signed body: what the ordering floor remembers. */
  readonly bodyDigest: Digest;
}

/** Accepted: the newest that was verified. Applied: the newest that was wholly applied; drift is measured against it. */
export type HeldLevel = "accepted" | "applied";

/** Media type of the envelope inside the bundle that keeps a held pack together. */
const ENVELOPE = "application/vnd.ontai.pack-installed.envelope.v1+json";
/** Blobs younger than this are never collected: another pack may be on its way in. */
const GARBAGE_AGE_MS = 3_600_000;

/**
 * The tenant's own copy of every pack it accepted, in a pack store: the last good version stays at hand when a newer one is refused,
 * when the index no longer names it, and when the hub is away. Each version is one OCI bundle (envelope, manifests, layers), so that
 * the store's garbage collection keeps exactly what is held.
 */
export class HeldPacks {
  readonly #store: PackBlobStore;
  readonly #cache = new Map<string, { readonly digest: string; readonly pack: HeldPack }>();
  #cachedBytes = 0;

  constructor(store: PackBlobStore) {
    this.#store = store;
  }

  /** Copies a verified pack in and names it accepted. Durable when it resolves. */
  async accept(name: string, envelope: Uint8Array, refs: ReadPack["refs"], blobs: PackBlobReader): Promise<void> {
    const head = { digest: digestOf(envelope), size: envelope.length, mediaType: ENVELOPE };
    await this.#store.put(head.digest, envelope);
    await this.#store.put(EMPTY_CONFIG.digest, EMPTY_CONFIG.bytes);
    for (const ref of refs) await this.#store.put(ref.digest, await blobs.get(ref.digest, ref.size));
    const layers = [head, ...refs.map(({ digest, size }) => ({ digest, size, mediaType: "application/octet-stream" }))];
    const { mediaType, digest, size } = EMPTY_CONFIG;
    const bundle = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: IMAGE_MANIFEST, config: { mediaType, digest, size }, layers }),
    );
    const descriptor = { mediaType: IMAGE_MANIFEST, digest: digestOf(bundle), size: bundle.length };
    await this.#store.put(descriptor.digest, bundle);
    const before = await this.#store.resolve(repository(name), "accepted");
    if (before?.digest !== descriptor.digest) await this.#store.tag(repository(name), "accepted", descriptor);
  }

  /** Says that what is accepted was applied; the version before becomes garbage. */
  async applied(name: string): Promise<void> {
    const accepted = await this.#store.resolve(repository(name), "accepted");
    if (accepted === undefined) return;
    const before = await this.#store.resolve(repository(name), "applied");
    if (before?.digest === accepted.digest) return;
    await this.#store.tag(repository(name), "applied", accepted);
    await this.#store.collectGarbage(GARBAGE_AGE_MS);
  }

  /** Lets go of a pack that was removed. */
  async forget(name: string): Promise<void> {
    for (const level of await this.#store.tags(repository(name))) await this.#store.untag(repository(name), level);
    this.#evict(name);
  }

  /** Lets go of the versions below a serial, and of copies that cannot be read. Nothing of them is applied or compared with any more. */
  async dropBelow(name: string, minimumSerial: number): Promise<void> {
    for (const level of await this.#store.tags(repository(name))) {
      const descriptor = await this.#store.resolve(repository(name), level);
      if (descriptor === undefined) continue;
      let serial = 0;
      try {
        serial = (await this.#manifest(name, descriptor.digest)).manifest.serial;
      } catch (error) {
        if (!(error instanceof SeamError)) throw error;
        // A damaged copy vouches for no serial.
      }
      if (serial >= minimumSerial) continue;
      await this.#store.untag(repository(name), level);
      this.#evict(name);
    }
  }

  /**
   * A held pack, every digest checked again; undefined when there is none. Packs are kept in memory up to a total size, because a
   * drifted pack is read every second or so.
   *
   * @throws SeamError `DigestMismatch` and others when the copy was damaged
   */
  async load(name: string, level: HeldLevel): Promise<HeldPack | undefined> {
    const descriptor = await this.#store.resolve(repository(name), level);
    if (descriptor === undefined) return undefined;
    const cached = this.#cache.get(name);
    if (cached?.digest === descriptor.digest) return cached.pack;
    const { manifest, bodyDigest } = await this.#manifest(name, descriptor.digest);
    const pack = { manifest, bodyDigest, ...(await readPack(this.#store, manifest.artifact)) };
    this.#remember(name, descriptor.digest, pack);
    return pack;
  }

  async #manifest(name: string, digest: Digest): Promise<Pick<HeldPack, "manifest" | "bodyDigest">> {
    const bundle = parseJson(await this.#store.get(digest, MAX_MANIFEST_BYTES), `held pack ${name}`);
    const layers: unknown = bundle["layers"];
    const head = readDescriptor(Array.isArray(layers) ? layers[0] : undefined, `held pack ${name}`);
    const envelope = decodeEnvelope(await this.#store.get(head.digest, MAX_SIGNED_MANIFEST_BYTES));
    if (envelope === undefined)
      throw new SeamError({
        reason: "HeldPackDamaged",
        object: `held pack ${name}`,
        expected: "holds a signed envelope",
      });
    return { manifest: parsePackManifest(envelope.body), bodyDigest: digestOf(envelope.body) };
  }

  /** Names of all held packs. */
  async names(): Promise<readonly string[]> {
    return (await this.#store.repositories())
      .filter((name) => name.startsWith(PREFIX))
      .map((name) => name.slice(PREFIX.length));
  }

  #remember(name: string, digest: string, pack: HeldPack): void {
    this.#evict(name);
    if (pack.unpackedBytes > MAX_CACHED_BYTES) return;
    for (const oldest of this.#cache.keys()) {
      if (this.#cachedBytes + pack.unpackedBytes <= MAX_CACHED_BYTES) break;
      this.#evict(oldest);
    }
    this.#cache.set(name, { digest, pack });
    this.#cachedBytes += pack.unpackedBytes;
  }

  #evict(name: string): void {
    const cached = this.#cache.get(name);
    if (cached === undefined) return;
    this.#cache.delete(name);
    this.#cachedBytes -= cached.pack.unpackedBytes;
  }
}

/** Unpacked size of packs kept in memory, bytes. */
const MAX_CACHED_BYTES = 32 * 1024 * 1024;
const PREFIX = "held/";

function repository(name: string): string {
  return `${PREFIX}${name}`;
}
