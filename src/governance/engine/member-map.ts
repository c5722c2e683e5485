/** Members by name. A name with one member, as nearly every one is, costs an entry and nothing more. */
export class MemberMap<T extends object> {
  readonly #byName = new Map<string, T | Set<T>>();

  /** Names with members. */
  get size(): number {
    return this.#byName.size;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** True when it is the first under its name. */
  add(name: string, member: T): boolean {
    const held = this.#byName.get(name);
    if (held === undefined) {
      this.#byName.set(name, member);
      return true;
    }
    if (held instanceof Set) held.add(member);
    else if (held !== member) this.#byName.set(name, new Set([held, member]));
    return false;
  }

  /** True when it was the last under its name. */
  delete(name: string, member: T): boolean {
    const held = this.#byName.get(name);
    if (held instanceof Set) {
      held.delete(member);
      if (held.size > 0) return false;
    } else if (held !== member) return false;
    return this.#byName.delete(name);
  }

  of(name: string): Iterable<T> {
    const held = this.#byName.get(name);
    if (held === undefined) return [];
    return held instanceof Set ? held : [held];
  }
}
