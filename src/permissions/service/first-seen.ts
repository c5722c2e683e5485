/** What was seen lately, of bounded number; a map within a map, since joining the parts to one key costs more than all the looks. */
export class FirstSeen {
  readonly #max: number;
  readonly #seen = new Map<string, Map<string, Map<string, Set<string>>>>();
  #size = 0;

  /** @param max most combinations that are remembered; beyond it nothing is new */
  constructor(max: number) {
    this.#max = max;
  }

  clear(): void {
    this.#seen.clear();
    this.#size = 0;
  }

  /** True when this combination was not seen since the last {@link clear}; it has been from now on. */
  add(principal: string, verb: string, apiGroup: string, what: string): boolean {
    if (this.#seen.get(principal)?.get(verb)?.get(apiGroup)?.has(what) === true) return false;
    if (this.#size >= this.#max) return false;
    this.#size++;
    const verbs = held(this.#seen, principal, () => new Map<string, Map<string, Set<string>>>());
    const groups = held(verbs, verb, () => new Map<string, Set<string>>());
    held(groups, apiGroup, () => new Set<string>()).add(what);
    return true;
  }
}

function held<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
