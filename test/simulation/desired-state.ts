import { generateKeyPairSync } from "node:crypto";
import { rfc3339 } from "../../src/base/clock.ts";
import { type Digest, digestOf } from "../../src/base/digest.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import { signIndex } from "../../src/federation/index/encode-index.ts";
import {
  type IndexDocument,
  type IndexItem,
  type IndexRevocation,
  type ItemKind,
  itemKey,
} from "../../src/federation/index/index-document.ts";
import { compareRevocations } from "../../src/federation/index/index-order.ts";
import { parseIndex } from "../../src/federation/index/parse-index.ts";
import { type KeyLookup, type Signer, ed25519Signer, keyIdOf } from "../../src/trust/dsse.ts";
import { SimulationFailure } from "./world.ts";

/**
 * RSA keys of 512 bits: their signatures are as long as those of Ed25519, and are verified in a twentieth of the time, which was a sixth of
 * all the simulator did. What is asked here is whether the machines verify at all; Ed25519 itself is what every other test signs with.
 */
function quickKeys(): ReturnType<typeof generateKeyPairSync> {
  return generateKeyPairSync("rsa", { modulusLength: 512, publicExponent: 3 });
}

const pair = quickKeys();
const signer = ed25519Signer(pair.privateKey);
/** Somebody whose key no agent trusts. */
const stranger = ed25519Signer(quickKeys().privateKey);

/** The trust ring of every simulated agent. */
export const KEYS: KeyLookup = {
  empty: false,
  key: (id) => (id === signer.keyId ? pair.publicKey : undefined),
};
/** Ids in {@link KEYS}. */
export const KEY_IDS: readonly string[] = [keyIdOf(pair.publicKey)];

/** How long a signed index is valid, milliseconds. */
export const INDEX_LIFE_MS = 4 * 3_600_000;

/** Ways in which an index is wrong: signed by a stranger, or by an index builder that is broken. */
export type WrongIndex = "stranger" | "dropped" | "setBack" | "equivocation" | "floorDown";

/** What a body makes its handlers do. */
export type Poison = "none" | "verify" | "apply" | "healthy";

/** All bodies of the world by digest: the blob store behind the hub. */
export class BlobWorld {
  readonly #bodies: Map<string, Uint8Array> = new Map();
  readonly #poison: Map<string, Poison> = new Map();
  readonly #order: Map<string, number> = new Map();
  /** Bodies that are delivered altered. */
  readonly corrupt: Set<string> = new Set();

  /** Creates a body of about `size` bytes. */
  put(text: string, size: number, poison: Poison): { readonly digest: Digest; readonly size: number } {
    const body = Buffer.alloc(Math.max(size, text.length), ".");
    body.write(text);
    const digest = digestOf(body);
    this.#bodies.set(digest, body);
    this.#poison.set(digest, poison);
    this.#order.set(digest, this.#order.size + 1);
    return { digest, size: body.length };
  }

  /** Takes a body as it is. */
  add(body: Uint8Array): Digest {
    const digest = digestOf(body);
    if (this.#bodies.has(digest)) return digest;
    this.#bodies.set(digest, body);
    this.#order.set(digest, this.#order.size + 1);
    return digest;
  }

  /** The body as the hub reads it. */
  read(digest: string): Uint8Array | undefined {
    const body = this.#bodies.get(digest);
    if (body === undefined || !this.corrupt.has(digest)) return body;
    const altered = Buffer.from(body);
    altered[0] = (altered[0] ?? 0) ^ 1;
    return altered;
  }

  /** True when these are the bytes that the digest names: compared with the body itself, which is a tenth of the work of a digest. */
  isBody(digest: string, data: Uint8Array): boolean {
    const body = this.#bodies.get(digest);
    return body === undefined ? digestOf(data) === digest : Buffer.compare(body, data) === 0;
  }

  /** Order in which bodies were made: the serial that content carries itself. */
  orderOf(digest: string): number {
    return this.#order.get(digest) ?? 0;
  }

  /** What the body does. */
  poisonOf(digest: string): Poison {
    return this.#poison.get(digest) ?? "none";
  }
}

/** The signed desired state of one tenant, as the index builder of the management side keeps it. */
export class DesiredState {
  readonly cluster: string;
  readonly blobs: BlobWorld;
  readonly #items: Map<string, IndexItem> = new Map();
  readonly #floors: Map<string, IndexRevocation> = new Map();
  #revocations = 0;
  #epoch = 1;
  #sequence = 0;
  #bodies = 0;
  #current: DesiredIndex | undefined = undefined;
  #first: DesiredIndex | undefined = undefined;

  constructor(cluster: string, blobs: BlobWorld) {
    this.cluster = cluster;
    this.blobs = blobs;
  }

  get current(): DesiredIndex | undefined {
    return this.#current;
  }

  /** The first index ever signed: validly signed, and old. */
  get first(): DesiredIndex | undefined {
    return this.#first;
  }

  /** Items as they stand in the next index. */
  get items(): readonly IndexItem[] {
    return [...this.#items.values()];
  }

  /** Sets an item; takes effect with the next {@link sign}. */
  put(kind: ItemKind, name: string, size: number, refSize: number, poison: Poison): IndexItem {
    const text = `${this.cluster}/${kind}/${name}/${++this.#bodies}`;
    const body = this.blobs.put(text, size, poison);
    const plain: IndexItem = { kind, name, version: this.#sequence + 1, digest: body.digest, size: body.size };
    const item: IndexItem = refSize > 0 ? { ...plain, refs: [this.blobs.put(`${text}/ref`, refSize, "none")] } : plain;
    this.#items.set(itemKey(item), item);
    return item;
  }

  /** Sets an item whose bodies are there already, as the index builder reads it from a Secret; false when it stood so. */
  set(item: Omit<IndexItem, "version">): boolean {
    const held = this.#items.get(itemKey(item));
    if (held?.digest === item.digest && held.deleted === item.deleted) return false;
    this.#items.set(itemKey(item), { ...item, version: this.#sequence + 1 });
    return true;
  }

  /** Pins an item's body at a size that it does not have. */
  misstate(key: string): void {
    const item = this.#items.get(key);
    if (item === undefined) throw new SimulationFailure(`there is no ${key}`);
    this.#items.set(key, { ...item, size: item.size + 1 });
  }

  /** Turns an item into a tombstone. */
  remove(key: string, withBody: boolean): void {
    const item = this.#items.get(key);
    if (item === undefined || item.deleted === true) return;
    const body = withBody
      ? this.blobs.put(`${this.cluster}/tombstone/${key}/${++this.#bodies}`, 64, "none")
      : undefined;
    const { kind, name } = item;
    const version = this.#sequence + 1;
    this.#items.set(key, { kind, name, version, digest: body?.digest ?? "", size: body?.size ?? 0, deleted: true });
  }

  /** Drops a tombstone that the agent has acknowledged. */
  drop(key: string): void {
    if (this.#items.get(key)?.deleted === true) this.#items.delete(key);
  }

  /** Revokes what a name has so far; stands in every index from the next {@link sign} on. */
  revoke(name: string): IndexRevocation {
    return this.revokeBelow("PackInstalled", name, (this.#floors.get(`PackInstalled/${name}`)?.floor ?? 0) + 1);
  }

  /** Revokes what a name has below a floor. */
  revokeBelow(target: IndexRevocation["target"], name: string, floor: number): IndexRevocation {
    const revocation: IndexRevocation = { target, name, floor, serial: ++this.#revocations };
    this.#floors.set(`${target}/${name}`, revocation);
    return revocation;
  }

  /** The store of the numbering was lost: everything stands in a new epoch, at its first sequence. */
  newEpoch(): void {
    this.#epoch++;
    this.#sequence = 0;
    this.#first = undefined;
    for (const [key, item] of this.#items) this.#items.set(key, { ...item, version: 1 });
  }

  /** Signs what stands, by the hub's clock. */
  sign(wallMs: number): DesiredIndex {
    this.#sequence++;
    this.#current = indexOf(this.#document(wallMs), signer);
    this.#first ??= this.#current;
    return this.#current;
  }

  /** Signs what no index builder may sign, or what only a stranger would; undefined when there is nothing to do wrong yet. */
  signWrong(wallMs: number, how: WrongIndex): DesiredIndex | undefined {
    const [first, ...rest] = [...this.#items.values()].filter((item) => item.deleted !== true);
    if (first === undefined) return undefined;
    if (how !== "equivocation") this.#sequence++;
    const document = this.#document(wallMs);
    const others = [...rest, ...document.items.filter((item) => item.deleted === true)];
    switch (how) {
      case "stranger":
        return indexOf({ ...document, keyId: stranger.keyId }, stranger);
      case "dropped":
        return indexOf({ ...document, items: others }, signer);
      case "equivocation": {
        const sequence = this.#current?.document.sequence ?? this.#sequence;
        const items = [{ ...first, version: sequence, size: first.size + 1 }, ...others];
        return indexOf({ ...document, sequence, items }, signer);
      }
      case "setBack":
        return indexOf({ ...document, items: [{ ...first, version: 1 }, ...others] }, signer);
      case "floorDown":
        return indexOf({ ...document, revocations: document.revocations.map(atFirstFloor) }, signer);
    }
  }

  /** Names the body of another item too. */
  share(name: string, key: string): void {
    const other = this.#items.get(key);
    if (other === undefined) throw new SimulationFailure(`there is no ${key}`);
    const { digest, size } = other;
    this.#items.set(`PackInstalled/${name}`, {
      kind: "PackInstalled",
      name,
      version: this.#sequence + 1,
      digest,
      size,
    });
  }

  #document(wallMs: number): IndexDocument {
    return {
      _type: "FederationIndex/v1",
      cluster: this.cluster,
      epoch: this.#epoch,
      sequence: this.#sequence,
      issuedAt: rfc3339(wallMs),
      expiresAt: rfc3339(wallMs + INDEX_LIFE_MS),
      keyId: signer.keyId,
      items: [...this.#items.values()],
      revocations: [...this.#floors.values()].sort(compareRevocations),
    };
  }
}

function indexOf(document: IndexDocument, by: Signer): DesiredIndex {
  const envelope = signIndex(document, by);
  const parsed = parseIndex(envelope.body);
  if (!parsed.ok) throw new SimulationFailure(`the builder signed a broken index: ${parsed.field}`);
  return { document: parsed.document, envelope, digest: digestOf(envelope.body) };
}

function atFirstFloor({ target, name, serial }: IndexRevocation): IndexRevocation {
  return { target, name, floor: 1, serial };
}
