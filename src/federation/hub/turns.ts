/** Lets at most `limit` parties have a turn at a time; the others get theirs in the order in which they asked. */
export class Turns<Party> {
  readonly #limit: number;
  readonly #having: Set<Party> = new Set();
  /** Waiting parties, in order, and how to tell them. */
  readonly #waiting: Map<Party, () => void> = new Map();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Parties that have a turn. */
  get having(): number {
    return this.#having.size;
  }

  /** Parties that wait for one. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Asks for a turn; `granted` is called when it comes, perhaps at once. Asking twice is asking once. */
  acquire(party: Party, granted: () => void): void {
    if (this.#having.has(party) || this.#waiting.has(party)) return;
    this.#waiting.set(party, granted);
    this.#hand();
  }

  /** The turn, or the wait for it, is over. */
  release(party: Party): void {
    this.#waiting.delete(party);
    if (this.#having.delete(party)) this.#hand();
  }

  #hand(): void {
    for (const [party, granted] of this.#waiting) {
      if (this.#having.size >= this.#limit) return;
      this.#waiting.delete(party);
      this.#having.add(party);
      granted();
    }
  }
}
