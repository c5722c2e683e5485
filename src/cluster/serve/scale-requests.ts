import type { Unstructured } from "../../api/object.ts";
import type { JsonObject } from "../../base/json.ts";
import { isStatus } from "../api-status-error.ts";
import type { Patch, WriteOptions } from "../cluster.ts";
import { resourceNotServed } from "./api-errors.ts";
import { type ResourceTarget, keyOf } from "./resource-target.ts";
import { patchedScale, scaleChange, scaleOf } from "./scale.ts";
import type { ScalePaths, ServedCluster } from "./served-cluster.ts";

/** Attempts of a scale patch that meets other writers. */
const MAX_SCALE_ATTEMPTS = 5;

/** The scale subresource: a Scale read from its object, and written to it as a patch. */
export class ScaleRequests {
  readonly #cluster: ServedCluster;

  constructor(cluster: ServedCluster) {
    this.#cluster = cluster;
  }

  /** The Scale of an object. @throws ApiStatusError 404 for a kind without one */
  scaleOf(object: Unstructured, target: ResourceTarget): JsonObject {
    return scaleOf(object, this.#paths(target));
  }

  #paths({ resource }: ResourceTarget): ScalePaths {
    const { scale } = this.#cluster.resourceDetails(resource.group, resource.version, resource.resource);
    if (scale === undefined) throw resourceNotServed();
    return scale;
  }

  /** Sets the replicas that a Scale asks for. @throws ApiStatusError */
  async set(target: ResourceTarget, scale: JsonObject, options: WriteOptions): Promise<JsonObject> {
    const paths = this.#paths(target);
    const change: Patch = { type: "merge", body: scaleChange(scale, paths) };
    const changed = await this.#cluster.patch(target.resource, keyOf(target), change, {
      ...options,
      subresource: "scale",
    });
    return scaleOf(changed, paths);
  }

  /** Patches a Scale, again when another writer comes between. @throws ApiStatusError */
  async patch(target: ResourceTarget, patch: Patch, options: WriteOptions): Promise<JsonObject> {
    for (let attempt = 1; ; attempt++) {
      const current = await this.#cluster.get(target.resource, keyOf(target));
      try {
        return await this.set(target, patchedScale(scaleOf(current, this.#paths(target)), patch), options);
      } catch (error) {
        // The patch was made against what this attempt read; another writer came between.
        if (!isStatus(error, "Conflict") || attempt >= MAX_SCALE_ATTEMPTS) throw error;
      }
    }
  }
}
