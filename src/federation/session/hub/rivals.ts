/** Agent processes remembered; more than can take turns at 30 s each within the memory of a person. */
const MAX_REPLACED = 16;

/**
 * Notices two agents with one certificate: a process that another one had replaced comes back. A restart never does that, since every
 * start has a new instance id.
 */
export class Rivals {
  readonly #replaced: string[] = [];
  #current = "";
  #seenMs: number | undefined = undefined;

  /** When two took turns last, wall clock, Unix milliseconds; undefined when never. */
  get seenMs(): number | undefined {
    return this.#seenMs;
  }

  /** A Hello was accepted. */
  opened(instanceId: string, wallMs: number): void {
    if (instanceId === "" || instanceId === this.#current) return;
    if (this.#replaced.includes(instanceId)) this.#seenMs = wallMs;
    if (this.#current !== "" && !this.#replaced.includes(this.#current)) this.#replaced.push(this.#current);
    if (this.#replaced.length > MAX_REPLACED) this.#replaced.shift();
    this.#current = instanceId;
  }
}
