import type { Unstructured } from "../../../api/object.ts";
import type { ListOptions, ObjectList } from "../../cluster.ts";
import { inVersion, type ServedResource } from "../resources/served-resource.ts";
import { compileSelector } from "../selectors/selector.ts";
import { badRequest, expired, forbiddenField, invalidObject } from "../status-errors.ts";
import type { Entry } from "../store/collection.ts";
import { parseResourceVersion, tooLargeVersion } from "../watch/watch-cache.ts";
import type { RequestContext } from "./request-context.ts";

/** What a continue token says: the snapshot and the last key of the page. */
interface ContinueToken {
  readonly v: number;
  readonly k: string;
}

function encodeToken(token: ContinueToken): string {
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function decodeToken(text: string): ContinueToken {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (typeof value === "object" && value !== null && "v" in value && "k" in value) {
      if (typeof value.v === "number" && typeof value.k === "string") return { v: value.v, k: value.k };
    }
  } catch {
    // falls through: a token that is not ours is refused below
  }
  throw badRequest("invalid continue token: continue key is not valid");
}

const CONTINUE_EXPIRED =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue " +
  "parameter, or use the continue token in this response to retrieve the remainder of the results.";

/** One page of a consistent snapshot (see `Cluster.list`). @throws ApiStatusError 400, 410, 504 */
export function listObjects(
  context: RequestContext,
  resource: ServedResource,
  options: ListOptions,
): ObjectList<Unstructured> {
  const { store } = context;
  const collection = store.collection(resource.collection);
  const { namespace } = options;
  const selector = compileSelector(
    {
      ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
      ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
    },
    resource.selectableFields,
    resource.custom,
  );
  const limit = options.limit !== undefined && options.limit > 0 ? options.limit : Number.POSITIVE_INFINITY;
  const { version, after, entries } = snapshot(context, resource, options);
  const items: Unstructured[] = [];
  let last = "";
  let more = false;
  let remaining = 0;
  for (const [key, entry] of entries ?? collection.entries(namespace)) {
    if (after !== undefined && key <= after) continue;
    if (items.length >= limit) {
      more = true;
      if (selector) break; // the API server does not count what a selector might drop
      remaining++;
      continue;
    }
    if (selector && !selector(entry.object)) continue;
    items.push(inVersion(resource, entry.object));
    last = key;
  }
  return {
    items,
    resourceVersion: String(version),
    ...(more ? { continue: encodeToken({ v: version, k: last }) } : {}),
    ...(more && !selector ? { remainingItemCount: remaining } : {}),
  };
}

/** @throws ApiStatusError 422 for options that contradict each other */
function checkMatch({ resourceVersion = "", resourceVersionMatch: match }: ListOptions): void {
  if (match === undefined) return;
  const why =
    resourceVersion === ""
      ? "resourceVersionMatch is forbidden unless resourceVersion is provided"
      : match === "Exact" && resourceVersion === "0"
        ? 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        : undefined;
  if (why === undefined) return;
  throw invalidObject(
    { group: "meta.k8s.io", version: "v1", resource: "", kind: "ListOptions", namespaced: false },
    "",
    [forbiddenField("resourceVersionMatch", why)],
  );
}

interface Snapshot {
  readonly version: number;
  /** Key after which the page starts. */
  readonly after: string | undefined;
  /** Undefined for the current state. */
  readonly entries: readonly (readonly [string, Entry])[] | undefined;
}

function snapshot(context: RequestContext, resource: ServedResource, options: ListOptions): Snapshot {
  const { store } = context;
  const collection = store.collection(resource.collection);
  if (options.continue !== undefined && options.continue !== "") {
    if (options.resourceVersion !== undefined && options.resourceVersion !== "" && options.resourceVersion !== "0") {
      throw badRequest("specifying resource version is not allowed when using continue");
    }
    const token = decodeToken(options.continue);
    if (token.v < store.compacted) throw expired(CONTINUE_EXPIRED);
    if (token.v > store.version) throw badRequest("continue key is not valid");
    return { version: token.v, after: token.k, entries: collection.entriesAt(token.v, options.namespace) };
  }
  checkMatch(options);
  const version = parseResourceVersion(options.resourceVersion);
  if (version > store.version) throw tooLargeVersion(version, store.version);
  if (options.resourceVersionMatch === "Exact") {
    if (version < store.compacted) throw expired(`too old resource version: ${version} (${store.compacted})`);
    return { version, after: undefined, entries: collection.entriesAt(version, options.namespace) };
  }
  return { version: store.version, after: undefined, entries: undefined };
}
