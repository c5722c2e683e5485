import { toJson } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { isJsonObject } from "../../src/base/json.ts";
import { frameEnvelope } from "../../src/federation/session/encode-frame.ts";
import type { OfferPlan } from "../../src/federation/session/hub/offer.ts";
import type { Frame } from "../../src/federation/session/frame.ts";

/** One line for a frame: number, acknowledgement, lane, payload and its fields. */
export function printFrame(frame: Frame): string {
  const head = `send ${frame.seq === 0 ? "-" : `#${frame.seq}`} ack ${frame.ack} [${frame.lane}]`;
  const { body } = frame;
  if (body.kind === "chunk")
    return shorten(`${head} blobChunk ${body.digest} ${body.offset}+${body.length} of ${body.total}`);
  if (body.kind === "offer") {
    const { form, desired, base, ranges, inline } = body.offer;
    const against = againstText(base?.document.sequence, ranges);
    const ride = inline.length === 0 ? "" : ` with ${inline.join(" ")}`;
    return shorten(
      `${head} indexOffer ${form} ${desired.document.epoch}/${desired.document.sequence}${against}${ride}`,
    );
  }
  if (body.payload.case === "auditEventBatch") {
    const { events } = body.payload.value;
    return `${head} auditEventBatch ${events[0]?.sequence ?? 0n}…${events.at(-1)?.sequence ?? 0n}`;
  }
  const envelope = frameEnvelope(frame, { pinned: () => new Uint8Array(), inline: () => undefined });
  const json = toJson(EnvelopeSchema, envelope);
  const value = isJsonObject(json) ? json[body.payload.case] : undefined;
  return shorten(`${head} ${body.payload.case} ${JSON.stringify(value)}`);
}

function againstText(base: number | undefined, ranges: OfferPlan["ranges"]): string {
  if (base !== undefined) return ` against ${base}`;
  if (ranges === undefined) return "";
  const items = ranges.paths.flatMap((path) => ranges.digests.items(path));
  const names =
    items.length > 6 ? `${items.length} items` : items.map(({ name, version }) => `${name}@${version}`).join(" ");
  return ` of ${ranges.paths.map((path) => path.join(".")).join(" ")} (${names}) against ${ranges.baseDigest}`;
}

/** One line for any other effect or write: its type and fields. */
export function printFields(prefix: string, object: { readonly type: string }): string {
  const { type, ...fields } = object;
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => `${name}=${printValue(value)}`);
  return shorten([`${prefix}${type}`, ...parts].join(" "));
}

/** Any value on one line; bytes as their number, protobuf's bookkeeping left out. */
export function printValue(value: unknown): string {
  if (typeof value === "string") return /\s/.test(value) ? JSON.stringify(value) : value;
  return JSON.stringify(value, (key: string, inner: unknown) => {
    if (key === "$typeName") return undefined;
    if (typeof inner === "bigint") return Number(inner);
    if (inner instanceof Uint8Array) return `<${inner.length} bytes>`;
    if (isBufferJson(inner)) return `<${inner.data.length} bytes>`;
    return inner;
  });
}

/** Digests and key ids by their first eight digits, long bytes by their number. */
export function shorten(text: string): string {
  return text
    .replaceAll(/\b(sha256:)?([0-9a-f]{8})[0-9a-f]{56}\b/g, "$1$2…")
    .replaceAll(/"([A-Za-z0-9+/]{200,}=*)"/g, (_, base64: string) => `<${Buffer.from(base64, "base64").length} bytes>`);
}

function isBufferJson(value: unknown): value is { readonly data: readonly number[] } {
  return isJsonObject(value) && value["type"] === "Buffer" && Array.isArray(value["data"]);
}
