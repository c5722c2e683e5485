import { parseApiVersion, type ResourceType } from "../../api/resource-type.ts";
import type { Cluster, Discovery } from "../../cluster/cluster.ts";

/** Finds the served resource of a kind by discovery, never by grammar (dispatcher §8.4). One per apply; asks the server again only when told to. */
export class ResourceMapper {
  readonly #cluster: Cluster;
  #discovery: Promise<Discovery> | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** The resource of exactly this group, version and kind; undefined when the cluster does not serve it. */
  async find(object: { readonly apiVersion: string; readonly kind: string }): Promise<ResourceType | undefined> {
    const { group, version } = parseApiVersion(object.apiVersion);
    const found = (await this.#current()).byKind(group, version, object.kind);
    return found?.version === version ? found : undefined;
  }

  /** Like {@link find}, but any served version will do: for objects that are only read or deleted. */
  async findAnyVersion(object: {
    readonly apiVersion: string;
    readonly kind: string;
  }): Promise<ResourceType | undefined> {
    const { group, version } = parseApiVersion(object.apiVersion);
    return (await this.#current()).byKind(group, version, object.kind);
  }

  /** Forgets what the server said. */
  refresh(): void {
    this.#discovery = undefined;
  }

  #current(): Promise<Discovery> {
    this.#discovery ??= this.#cluster.discover().catch((error: unknown) => {
      this.#discovery = undefined; // the next call asks again
      throw error;
    });
    return this.#discovery;
  }
}
