import type { JsonObject } from "../../base/json.ts";
import type { DiscoveredResource, Discovery } from "../cluster.ts";
import { REVIEW_RESOURCES } from "./access-reviews.ts";
import { type TaggedText, taggedText } from "./exchange.ts";

/** What the server shows now: stored resources and reviews, and the documents made from them. Made anew when a kind comes or goes. */
export class ServedSurface {
  readonly resources: readonly DiscoveredResource[];
  readonly #found = new Map<string, DiscoveredResource>();
  readonly #groupVersions = new Set<string>();
  /** One text per document of discovery and OpenAPI: as many as there are groups and versions. */
  readonly #documents = new Map<string, TaggedText>();

  constructor(discovery: Discovery) {
    this.resources = [...discovery.resources.map(withServedHere), ...REVIEW_RESOURCES];
    for (const resource of this.resources) {
      this.#found.set(`${resource.group}/${resource.version}/${resource.resource}`, resource);
      this.#groupVersions.add(`${resource.group}/${resource.version}`);
    }
  }

  find(group: string, version: string, resource: string): DiscoveredResource | undefined {
    return this.#found.get(`${group}/${version}/${resource}`);
  }

  hasGroupVersion(group: string, version: string): boolean {
    return this.#groupVersions.has(`${group}/${version}`);
  }

  /** The document of this key, which must name something that is served: it is made once and kept. */
  document(key: string, make: () => JsonObject): TaggedText {
    let text = this.#documents.get(key);
    if (text === undefined) this.#documents.set(key, (text = taggedText(make())));
    return text;
  }
}

/** Subresources that the REST layer itself answers. */
const SERVED_HERE: ReadonlyMap<string, string> = new Map([
  ["/pods", "log"],
  ["/serviceaccounts", "token"],
]);

function withServedHere(resource: DiscoveredResource): DiscoveredResource {
  const own = SERVED_HERE.get(`${resource.group}/${resource.resource}`);
  return own === undefined ? resource : { ...resource, subresources: [...resource.subresources, own] };
}
