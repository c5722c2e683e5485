import { SparseMap } from "../../../base/sparse-map.ts";
import type { Digest } from "../../../base/digest.ts";
import type { Pinned } from "../blob-shelf.ts";
import type { HostScope } from "./host-scope.ts";

/** Bodies that one session holds in memory while it sends them. */
export class BlobPins {
  readonly #scope: HostScope;
  /** Pins whose answer is awaited; false after the machine let them go meanwhile. */
  readonly #pinning = new SparseMap<number, boolean>();

  constructor(scope: HostScope) {
    this.#scope = scope;
  }

  /** Undefined when the machine let the body go before it was there. */
  async pin(token: number, digest: Digest): Promise<Pinned | undefined> {
    const { cluster, shared, log } = this.#scope;
    this.#pinning.set(token, true);
    let pinned: Pinned;
    try {
      pinned = await shared.shelf.pin(cluster, digest);
    } catch (error) {
      log.warn({ err: error, digest }, "body could not be read");
      pinned = { size: undefined, busy: true };
    }
    const wanted = this.#pinning.get(token);
    this.#pinning.delete(token);
    if (wanted === true) return pinned;
    if (pinned.size !== undefined) shared.shelf.unpin(digest);
    return undefined;
  }

  unpin(token: number, digest: Digest): void {
    if (this.#pinning.has(token)) this.#pinning.set(token, false);
    else this.#scope.shared.shelf.unpin(digest);
  }
}
