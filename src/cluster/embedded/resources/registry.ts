import type { ResourceIdentity } from "./resource-identity.ts";
import type { DiscoveredResource, Discovery } from "../../cluster.ts";
import { notServed } from "../status-errors.ts";
import { collectionId, type ServedResource } from "./served-resource.ts";

function serveKey(group: string, version: string, resource: string): string {
  return `${group}/${version}/${resource}`;
}

/** Everything the cluster serves now: built-in kinds and established CRDs. */
export class ResourceRegistry {
  readonly #served = new Map<string, ServedResource>();
  /** Versions per collection, preferred first. */
  readonly #versions = new Map<string, readonly ServedResource[]>();
  #discovery: Discovery | undefined;

  constructor(builtin: readonly ServedResource[]) {
    for (const resource of builtin) this.replace(resource.collection, [resource]);
  }

  /** Serves these versions of a collection, preferred first, instead of what was served before. */
  replace(collection: string, versions: readonly ServedResource[]): void {
    this.#discovery = undefined;
    for (const old of this.#versions.get(collection) ?? []) {
      this.#served.delete(serveKey(old.group, old.version, old.resource));
    }
    if (versions.length === 0) {
      this.#versions.delete(collection);
      return;
    }
    this.#versions.set(collection, versions);
    for (const version of versions) {
      this.#served.set(serveKey(version.group, version.version, version.resource), version);
    }
  }

  find(group: string, version: string, resource: string): ServedResource | undefined {
    return this.#served.get(serveKey(group, version, resource));
  }

  /** @throws ApiStatusError 404 as for an unknown path */
  require(type: ResourceIdentity): ServedResource {
    const found = this.find(type.group, type.version, type.resource);
    if (!found) throw notServed();
    return found;
  }

  /** Preferred version of a collection. */
  preferred(collection: string): ServedResource | undefined {
    return this.#versions.get(collection)?.[0];
  }

  /** All served versions of a collection, preferred first. */
  versions(collection: string): readonly ServedResource[] {
    return this.#versions.get(collection) ?? [];
  }

  /** Any served resource of a group and kind. */
  byKind(group: string, kind: string, version?: string): ServedResource | undefined {
    let fallback: ServedResource | undefined;
    for (const versions of this.#versions.values()) {
      const first = versions[0];
      if (first === undefined || first.group !== group || first.kind !== kind) continue;
      const exact = versions.find((served) => served.version === version);
      if (exact) return exact;
      fallback ??= first;
    }
    return fallback;
  }

  /** Preferred version of every collection. */
  collections(): readonly ServedResource[] {
    return [...this.#versions.values()].flatMap((versions) => versions.slice(0, 1));
  }

  /** The same object until something is served anew or no longer. */
  discover(): Discovery {
    return (this.#discovery ??= this.#discover());
  }

  #discover(): Discovery {
    const resources: readonly DiscoveredResource[] = [...this.#versions.values()].flat();
    const served = new Map(this.#served);
    const preferred = (
      match: (resource: DiscoveredResource) => boolean,
      version: string,
    ): DiscoveredResource | undefined => {
      const found = resources.filter(match);
      return found.find((resource) => resource.version === version) ?? found[0];
    };
    return {
      resources,
      byKind: (group, version, kind) =>
        preferred((resource) => resource.group === group && resource.kind === kind, version),
      byResource: (group, version, resource) =>
        served.get(serveKey(group, version, resource)) ??
        preferred((other) => other.group === group && other.resource === resource, version),
    };
  }

  /** Whether any version of the collection is served. */
  serves(group: string, resource: string): boolean {
    return this.#versions.has(collectionId(group, resource));
  }
}
