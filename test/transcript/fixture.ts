import { createPrivateKey, createPublicKey } from "node:crypto";
import { type Digest, digestOf } from "../../src/base/digest.ts";
import type { Random } from "../../src/base/random.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import { signIndex } from "../../src/federation/index/encode-index.ts";
import type { IndexDocument, IndexItem, IndexRevocation, ItemKind } from "../../src/federation/index/index-document.ts";
import { compareRevocations } from "../../src/federation/index/index-order.ts";
import { parseIndex } from "../../src/federation/index/parse-index.ts";
import { type KeyLookup, type SignedEnvelope, ed25519Signer } from "../../src/trust/dsse.ts";
import type { Command } from "./script.ts";
import { numberArg } from "./script.ts";

/** Wall clock at the start of every transcript, Unix milliseconds. */
export const START_WALL_MS = Date.UTC(2026, 0, 1);

/** Chance without chance: jitter is always in the middle. */
export const middle: Random = { next: () => 0.5, bytes: (length) => new Uint8Array(length) };

/** A key from a fixed seed, so that transcripts have the same digests everywhere. Never for anything else. */
function fixedKey(seed: number): ReturnType<typeof createPrivateKey> {
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  return createPrivateKey({ key: Buffer.concat([head, Buffer.alloc(32, seed)]), format: "der", type: "pkcs8" });
}

const trusted = ed25519Signer(fixedKey(1));
const stranger = ed25519Signer(fixedKey(2));
const publicKey = createPublicKey(fixedKey(1));

/** The ring of the agent in transcripts. */
export const ring: KeyLookup = { empty: false, key: (id) => (id === trusted.keyId ? publicKey : undefined) };

/** Bodies named in transcripts, by digest. */
export class Bodies {
  readonly #bodies: Map<string, Uint8Array> = new Map();

  /** A body from its text; `text*N` is the text repeated to N bytes. */
  put(spec: string): { readonly digest: Digest; readonly size: number } {
    const [text = "", repeat] = spec.split("*");
    const body = repeat === undefined ? Buffer.from(text) : Buffer.alloc(Number(repeat), text);
    const digest = digestOf(body);
    this.#bodies.set(digest, body);
    return { digest, size: body.length };
  }

  get(digest: string): Uint8Array | undefined {
    return this.#bodies.get(digest);
  }
}

/**
 * A signed index from a command: `sequence=2 items=web@1:body+ref,-old@2 [epoch=] [cluster=] [by=stranger] [expires=ms] [issued=ms] [floors=web:4,db:2]`.
 * `web` is a PackInstalled; `Kind/name` names another kind; `-name` is a tombstone without body; `x#200@1:body` is x0 to x199.
 */
export function indexOf(command: Command, bodies: Bodies, wallMs: number): DesiredIndex {
  const by = command.args.get("by") === "stranger" ? stranger : trusted;
  const document: IndexDocument = {
    _type: "FederationIndex/v1",
    cluster: command.args.get("cluster") ?? "tenant-1",
    epoch: numberArg(command, "epoch", 1),
    sequence: numberArg(command, "sequence", 1),
    issuedAt: new Date(wallMs + numberArg(command, "issued", 0)).toISOString(),
    expiresAt: new Date(wallMs + numberArg(command, "expires", 3_600_000)).toISOString(),
    keyId: by.keyId,
    items: itemsOf(command.args.get("items") ?? "", bodies),
    revocations: floorsOf(command.args.get("floors") ?? ""),
  };
  const signed = signIndex(document, by);
  const envelope: SignedEnvelope = command.words.includes("tampered")
    ? { ...signed, body: Buffer.from(Buffer.from(signed.body).toString().replace("tenant", "TENANT")) }
    : signed;
  const parsed = parseIndex(envelope.body);
  return { document: parsed.ok ? parsed.document : document, envelope, digest: digestOf(envelope.body) };
}

/** `web:4,db:2`: packs and their floors; serials count. */
function floorsOf(spec: string): IndexRevocation[] {
  if (spec === "") return [];
  const floors = spec.split(",").map((part, at): IndexRevocation => {
    const [name = "", floor] = part.split(":");
    return { target: "PackInstalled", name, floor: Number(floor), serial: at + 1 };
  });
  return floors.sort(compareRevocations);
}

function itemsOf(spec: string, bodies: Bodies): IndexItem[] {
  if (spec === "") return [];
  return spec.split(",").flatMap((part) => {
    const many = /^(.*)#(\d+)(.*)$/.exec(part);
    if (many === null) return itemOf(part, bodies);
    const [, before = "", count = "0", after = ""] = many;
    return Array.from({ length: Number(count) }, (_, at) => itemOf(`${before}${at}${after}`, bodies));
  });
}

function itemOf(part: string, bodies: Bodies): IndexItem {
  const deleted = part.startsWith("-");
  const [head = "", content = ""] = (deleted ? part.slice(1) : part).split(":");
  const [path = "", version = "1"] = head.split("@");
  const [kind, name] = path.includes("/") ? path.split("/") : ["PackInstalled", path];
  const [text = "", ref] = content.split("+");
  const body = text === "" ? ({ digest: "", size: 0 } as const) : bodies.put(text);
  const item: IndexItem = {
    // Transcripts also offer kinds that no build knows.
    kind: kind as ItemKind,
    name: name ?? "",
    version: Number(version),
    digest: body.digest,
    size: body.size,
  };
  if (deleted) return Object.assign(item, { deleted: true as const });
  return ref === undefined ? item : Object.assign(item, { refs: [bodies.put(ref)] });
}
