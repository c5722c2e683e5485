import { isJsonObject, type JsonObject } from "../../base/json.ts";
import type { DiscoveredResource, Discovery } from "../cluster.ts";
import { discoveryOf } from "../discovery-lookup.ts";
import type { Transport } from "./transport.ts";

const ACCEPT_AGGREGATED =
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

interface Page {
  readonly etag: string | undefined;
  readonly resources: readonly DiscoveredResource[];
}

/**
 * What the server serves, from its aggregated discovery documents (`/api`, `/apis`). Every call asks again, with the ETag of the last
 * answer, so a new kind is seen at once and an unchanged answer costs a few bytes. Calls at the same time share one round.
 */
export class ServedResources {
  readonly #transport: Transport;
  readonly #pages = new Map<string, Page>();
  #round: Promise<Discovery> | undefined;
  #known: Discovery | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The discovery of this moment. @throws what {@link Transport.call} throws */
  discover(): Promise<Discovery> {
    this.#round ??= this.#ask().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async #ask(): Promise<Discovery> {
    const before = [this.#pages.get("/api"), this.#pages.get("/apis")];
    const pages = await Promise.all([this.#page("/api"), this.#page("/apis")]);
    if (this.#known === undefined || pages[0] !== before[0] || pages[1] !== before[1])
      this.#known = discoveryOf(pages.flatMap((page) => page.resources));
    return this.#known;
  }

  async #page(path: string): Promise<Page> {
    const known = this.#pages.get(path);
    const answer = await this.#transport.call({
      method: "GET",
      path,
      headers: { accept: ACCEPT_AGGREGATED, ...(known?.etag === undefined ? {} : { "if-none-match": known.etag }) },
    });
    if (answer.status === 304 && known !== undefined) return known;
    const document: unknown = JSON.parse(answer.body);
    const resources =
      isJsonObject(document) && document["kind"] === "APIGroupDiscoveryList"
        ? aggregatedResources(document)
        : await this.#legacyResources(document);
    const page: Page = { etag: answer.header("etag"), resources };
    this.#pages.set(path, page);
    return page;
  }

  /** Servers before 1.27 answer with version and group lists and one document per group version. */
  async #legacyResources(document: unknown): Promise<readonly DiscoveredResource[]> {
    const out: DiscoveredResource[] = [];
    for (const { group, version } of legacyGroupVersions(document)) {
      const answer = await this.#transport.call({
        method: "GET",
        path: group === "" ? `/api/${version}` : `/apis/${group}/${version}`,
      });
      out.push(...legacyResources(group, version, JSON.parse(answer.body)));
    }
    return out;
  }
}

/** Resources of an `APIGroupDiscoveryList` (apidiscovery.k8s.io/v2), in the server's order of preference. */
export function aggregatedResources(document: unknown): readonly DiscoveredResource[] {
  const out: DiscoveredResource[] = [];
  for (const item of objects(document, "items")) {
    const metadata = isJsonObject(item["metadata"]) ? item["metadata"] : {};
    const group = text(metadata["name"]);
    for (const versioned of objects(item, "versions")) {
      const version = text(versioned["version"]);
      for (const resource of objects(versioned, "resources")) {
        const responseKind = isJsonObject(resource["responseKind"]) ? resource["responseKind"] : {};
        out.push({
          group,
          version,
          resource: text(resource["resource"]),
          kind: text(responseKind["kind"]),
          namespaced: resource["scope"] === "Namespaced",
          singular: text(resource["singularResource"]),
          shortNames: texts(resource["shortNames"]),
          categories: texts(resource["categories"]),
          verbs: texts(resource["verbs"]),
          subresources: objects(resource, "subresources").map((sub) => text(sub["subresource"])),
        });
      }
    }
  }
  return out;
}

function legacyGroupVersions(document: unknown): readonly { readonly group: string; readonly version: string }[] {
  if (!isJsonObject(document)) throw new Error("the discovery document of the API server is no object");
  if (document["kind"] === "APIVersions") return texts(document["versions"]).map((version) => ({ group: "", version }));
  return objects(document, "groups").flatMap((group) =>
    objects(group, "versions").map((item) => ({ group: text(group["name"]), version: text(item["version"]) })),
  );
}

function legacyResources(group: string, version: string, document: unknown): readonly DiscoveredResource[] {
  const all = objects(document, "resources");
  return all
    .filter((entry) => !text(entry["name"]).includes("/"))
    .map((entry) => {
      const resource = text(entry["name"]);
      return {
        group,
        version,
        resource,
        kind: text(entry["kind"]),
        namespaced: entry["namespaced"] === true,
        singular: text(entry["singularName"]),
        shortNames: texts(entry["shortNames"]),
        categories: texts(entry["categories"]),
        verbs: texts(entry["verbs"]),
        subresources: all
          .map((other) => text(other["name"]))
          .filter((name) => name.startsWith(`${resource}/`))
          .map((name) => name.slice(resource.length + 1)),
      };
    });
}

function objects(value: unknown, field: string): readonly JsonObject[] {
  const list = isJsonObject(value) ? value[field] : undefined;
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === "string") : [];
}
