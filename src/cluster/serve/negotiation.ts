import { notAcceptable } from "./api-errors.ts";

/** Form of an answer. */
export interface Representation {
  readonly encoding: "json" | "yaml";
  /** What the object is turned into. */
  readonly as: "object" | "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList";
  /** Content-Type of the answer. */
  readonly contentType: string;
}

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

const AVAILABLE = ["application/json", "application/yaml", "application/json;stream=watch"];
const TRANSFORMS = ["Table", "PartialObjectMetadata", "PartialObjectMetadataList"] as const;
/** Clauses of one Accept header that are looked at. */
const MAX_RANGES = 32;

/** Parses an Accept header, best first: by quality, then in the order they stand. */
export function mediaRanges(accept: string | undefined): readonly MediaRange[] {
  if (accept === undefined || accept.trim() === "") return [{ type: "*/*", parameters: new Map(), quality: 1 }];
  return accept
    .split(",", MAX_RANGES)
    .map((clause) => {
      const [type = "", ...parameters] = clause.split(";").map((part) => part.trim());
      const map = new Map(
        parameters.map((parameter) => {
          const equals = parameter.indexOf("=");
          return equals < 0
            ? ([parameter.toLowerCase(), ""] as const)
            : ([parameter.slice(0, equals).trim().toLowerCase(), parameter.slice(equals + 1).trim()] as const);
        }),
      );
      const quality = Number(map.get("q") ?? "1");
      return { type: type.toLowerCase(), parameters: map, quality: Number.isFinite(quality) ? quality : 0 };
    })
    .filter((range) => range.quality > 0)
    .sort((a, b) => b.quality - a.quality);
}

/**
 * Chooses how to answer with an object or a list.
 *
 * @throws ApiStatusError 406 when the client accepts nothing of what there is
 */
export function negotiate(accept: string | undefined): Representation {
  for (const range of mediaRanges(accept)) {
    const encoding = encodingOf(range.type);
    if (encoding === undefined) continue;
    const as = range.parameters.get("as");
    if (as === undefined) return { encoding, as: "object", contentType: `application/${encoding}` };
    const transform = TRANSFORMS.find((name) => name === as);
    const version = range.parameters.get("v");
    if (
      transform === undefined ||
      range.parameters.get("g") !== "meta.k8s.io" ||
      (version !== "v1" && version !== "v1beta1")
    )
      continue;
    return { encoding, as: transform, contentType: `application/${encoding}` };
  }
  throw notAcceptable(AVAILABLE);
}

/**
 * Chooses between documents that have one form only, such as discovery and OpenAPI.
 *
 * @param offers media types with their parameters, the default last
 * @throws ApiStatusError 406
 */
export function negotiateDocument<T extends string>(
  accept: string | undefined,
  offers: readonly { readonly name: T; readonly type: string; readonly parameters: Readonly<Record<string, string>> }[],
): T {
  for (const range of mediaRanges(accept)) {
    const found = offers.find(
      (offer) =>
        matches(range.type, offer.type) &&
        ["g", "v", "as"].every((name) => range.parameters.get(name) === offer.parameters[name]),
    );
    if (found !== undefined) return found.name;
  }
  throw notAcceptable(offers.map((offer) => offer.type));
}

function encodingOf(type: string): "json" | "yaml" | undefined {
  if (matches(type, "application/json")) return "json";
  return type === "application/yaml" ? "yaml" : undefined;
}

function matches(range: string, type: string): boolean {
  return range === "*/*" || range === type || (range.endsWith("/*") && type.startsWith(range.slice(0, -1)));
}
