import type { DatabaseSync } from "node:sqlite";
import { type Digest, isDigest } from "../../base/digest.ts";
import { itemKey } from "../index/index-document.ts";
import type { ItemRecord, SpokeRecord, StoredIndex } from "../session/spoke/record.ts";
import { type Row, bigintOf, bytesOf, prepareBigint, textOf } from "./row.ts";

/** The desired state inside the agent's store: the index in force, how far its items are, and the highest term and revocation seen. */
export class HeldState {
  readonly #statements;

  constructor(db: DatabaseSync) {
    this.#statements = {
      meta: prepareBigint(db, "SELECT store_id, term, revocation_serial FROM meta"),
      index: db.prepare("SELECT digest, body, signatures FROM held_index"),
      putIndex: db.prepare(
        "INSERT INTO held_index (id, digest, body, signatures) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, body = excluded.body, signatures = excluded.signatures",
      ),
      putTerm: db.prepare("UPDATE meta SET term = max(term, ?)"),
      putRevocation: db.prepare("UPDATE meta SET revocation_serial = max(revocation_serial, ?)"),
      items: db.prepare("SELECT record FROM items ORDER BY key"),
      putItem: db.prepare(
        "INSERT INTO items (key, record) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record",
      ),
      removeItem: db.prepare("DELETE FROM items WHERE key = ?"),
    };
  }

  read(): Pick<SpokeRecord, "storeId" | "term" | "revocationSerial" | "index" | "items"> {
    const meta = this.#statements.meta.get() as Row;
    return {
      storeId: textOf(meta, "store_id"),
      term: bigintOf(meta, "term"),
      revocationSerial: bigintOf(meta, "revocation_serial"),
      index: this.#index(),
      items: this.#itemTexts().map(parseItem),
    };
  }

  putIndex(index: StoredIndex): void {
    this.#statements.putIndex.run(index.digest, index.body, encodeSignatures(index));
  }

  /** Only rises. */
  putTerm(term: bigint): void {
    this.#statements.putTerm.run(term);
  }

  /** Only rises. */
  putRevocationSerial(serial: bigint): void {
    this.#statements.putRevocation.run(serial);
  }

  putItem(record: ItemRecord): void {
    this.#statements.putItem.run(itemKey(record.item), JSON.stringify(record));
  }

  removeItem(key: string): void {
    this.#statements.removeItem.run(key);
  }

  /** Every digest that the held index or an item names. */
  namedDigests(): ReadonlySet<string> {
    const named = new Set<string>();
    const index = this.#index();
    if (index !== undefined) collectDigests(Buffer.from(index.body).toString("utf8"), named);
    for (const text of this.#itemTexts()) collectDigests(text, named);
    return named;
  }

  #itemTexts(): readonly string[] {
    return (this.#statements.items.all() as Row[]).map((row) => textOf(row, "record"));
  }

  #index(): StoredIndex | undefined {
    const row = this.#statements.index.get() as Row | undefined;
    if (row === undefined) return undefined;
    return {
      digest: textOf(row, "digest") as Digest,
      body: bytesOf(row, "body"),
      signatures: decodeSignatures(textOf(row, "signatures")),
    };
  }
}

/** JSON has no undefined: members that were undefined come back as such. An older build knew no `retriedBy`. */
function parseItem(text: string): ItemRecord {
  const record = JSON.parse(text) as Omit<ItemRecord, "nack" | "lastGood" | "retriedBy">;
  return { nack: undefined, lastGood: undefined, retriedBy: "", ...record };
}

function encodeSignatures(index: StoredIndex): string {
  return JSON.stringify(
    index.signatures.map(({ keyId, signature }) => ({ keyId, signature: Buffer.from(signature).toString("base64") })),
  );
}

function decodeSignatures(text: string): StoredIndex["signatures"] {
  const stored = JSON.parse(text) as readonly { readonly keyId: string; readonly signature: string }[];
  return stored.map(({ keyId, signature }) => ({ keyId, signature: Buffer.from(signature, "base64") }));
}

const DIGESTS = /sha256:[0-9a-f]{64}/g;

function collectDigests(text: string, into: Set<string>): void {
  for (const [digest] of text.matchAll(DIGESTS)) if (isDigest(digest)) into.add(digest);
}
