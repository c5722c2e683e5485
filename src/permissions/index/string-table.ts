/** Strings to small integers, so that a decision compares numbers. Ids count from 0 in the order of interning. */
export class StringTable {
  readonly #ids = new Map<string, number>();
  readonly #strings: string[] = [];

  /** @param preassigned strings with ids 0, 1, … */
  constructor(preassigned: readonly string[] = []) {
    for (const text of preassigned) this.intern(text);
  }

  get strings(): readonly string[] {
    return this.#strings;
  }

  /** Id of `text`, new if need be. */
  intern(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#strings.length;
    this.#ids.set(text, id);
    this.#strings.push(text);
    return id;
  }

  /** Id of `text`, or -1: a string that no rule mentions. */
  find(text: string): number {
    const id = this.#ids.get(text);
    return id === undefined ? -1 : id;
  }
}
