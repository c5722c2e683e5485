import type { DesiredIndex } from "../ports.ts";
import type { HostScope } from "./host-scope.ts";

/** Longest an offer waits for small bodies that could ride with it, milliseconds. */
const WARM_LIMIT_MS = 1_000;

/** The tenant's desired index as its session is told of it: small bodies come into memory first, so that they can ride with the offer. */
export class FollowedIndex {
  readonly #scope: HostScope;
  readonly #listening: () => boolean;
  readonly #tell: (desired: DesiredIndex | undefined) => void;
  #desired: DesiredIndex | undefined;
  #following = false;
  #dirty = false;

  /**
   * @param listening false while there is nobody to offer to: then nothing is read ahead
   * @param tell called with the index once its bodies are at hand, or have kept it waiting long enough
   */
  constructor(scope: HostScope, listening: () => boolean, tell: (desired: DesiredIndex | undefined) => void) {
    this.#scope = scope;
    this.#listening = listening;
    this.#tell = tell;
    this.#desired = scope.shared.options.desired.current(scope.cluster);
  }

  get current(): DesiredIndex | undefined {
    return this.#desired;
  }

  /** The index changed. Of several changes while bodies are read the last counts. */
  changed(): void {
    this.#dirty = true;
    if (!this.#following) void this.#follow();
  }

  /** Brings the small bodies of the index into memory, for a first offer. */
  async warm(): Promise<void> {
    if (this.#desired === undefined) return;
    const { shared, cluster } = this.#scope;
    await this.#atMost(WARM_LIMIT_MS, shared.shelf.warm(cluster, this.#desired.document, undefined));
  }

  async #follow(): Promise<void> {
    const { cluster, shared } = this.#scope;
    this.#following = true;
    try {
      while (this.#dirty) {
        this.#dirty = false;
        const before = this.#desired?.document;
        this.#desired = shared.options.desired.current(cluster);
        // Without a stream there is nobody to offer to; without a body to read the offer leaves in this turn.
        if (this.#desired !== undefined && this.#listening()) {
          const warming = shared.shelf.warm(cluster, this.#desired.document, before);
          if (warming !== undefined) await this.#atMost(WARM_LIMIT_MS, warming);
        }
        this.#tell(this.#desired);
      }
    } finally {
      this.#following = false;
    }
  }

  /** Waits for work that only saves a round trip; its failure is the fetch's to report. */
  async #atMost(ms: number, work: Promise<void> | undefined): Promise<void> {
    if (work === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      work
        .catch((error: unknown) => {
          this.#scope.log.debug({ err: error }, "bodies could not be read ahead");
        })
        .finally(() => {
          clearTimeout(timer);
          resolve();
        });
    });
  }
}
