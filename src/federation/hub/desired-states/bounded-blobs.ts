/** Bodies by digest, shared by all tenants; the least recently used ones leave when the byte budget is exceeded. */
export class BoundedBlobs {
  readonly #budgetBytes: number;
  readonly #bodies = new Map<string, Uint8Array>();
  #bytes = 0;

  /** @param budgetBytes most bytes held at once; a body larger than this is never held */
  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** True for a body that is held; asking does not make it recently used. */
  has(digest: string): boolean {
    return this.#bodies.has(digest);
  }

  get(digest: string): Uint8Array | undefined {
    const body = this.#bodies.get(digest);
    if (body === undefined) return undefined;
    // A Map keeps insertion order: moving the entry to the end makes the first one the least recently used.
    this.#bodies.delete(digest);
    this.#bodies.set(digest, body);
    return body;
  }

  put(digest: string, body: Uint8Array): void {
    if (body.length > this.#budgetBytes || this.#bodies.has(digest)) return;
    this.#bodies.set(digest, body);
    this.#bytes += body.length;
    for (const [oldest, held] of this.#bodies) {
      if (this.#bytes <= this.#budgetBytes) return;
      this.#bodies.delete(oldest);
      this.#bytes -= held.length;
    }
  }
}
