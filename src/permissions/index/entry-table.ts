/** Slot layout: rule set + 1, group, resource, name, and two masks of two words each. */
const STRIDE = 8;
const LOAD = 0.66;
const MIN_SLOTS = 16;

/**
 * Main table of the index (permissions §17): open addressing in one typed array outside the JavaScript heap, key (rule set, group,
 * resource, name), value verb masks. Name 0 stands for "no name": its first mask holds what is granted on every name, its second
 * what is granted on some name, so that a denied request without a name learns in one probe whether a name would help.
 */
export class EntryTable {
  #data: Int32Array;
  #mask: number;
  #size = 0;

  /** @param data words of another table, for one that was built in a worker */
  constructor(data: Int32Array = new Int32Array(MIN_SLOTS * STRIDE), size = 0) {
    this.#data = data;
    this.#mask = data.length / STRIDE - 1;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  get data(): Int32Array {
    return this.#data;
  }

  /** Position of an entry's words, or -1. */
  find(ruleSet: number, group: number, resource: number, name: number): number {
    const data = this.#data;
    const mask = this.#mask;
    let slot = hash(ruleSet, group, resource, name) & mask;
    for (;;) {
      const at = slot * STRIDE;
      const held = data[at];
      if (held === 0) return -1;
      if (held === ruleSet + 1 && data[at + 1] === group && data[at + 2] === resource && data[at + 3] === name)
        return at;
      slot = (slot + 1) & mask;
    }
  }

  /** Adds a verb bit to an entry's first (`granted`) or second (`named`) mask. */
  add(ruleSet: number, group: number, resource: number, name: number, bit: number, which: "granted" | "named"): void {
    let at = this.find(ruleSet, group, resource, name);
    if (at < 0) at = this.#insert(ruleSet, group, resource, name);
    const word = at + (which === "granted" ? 4 : 6) + (bit >>> 5);
    this.#data[word] = (this.#data[word] ?? 0) | (1 << (bit & 31));
  }

  /** True when bit `bit` (0 to 63) of the first mask at `at` is set. */
  granted(at: number, bit: number): boolean {
    return ((this.#data[at + 4 + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  /** True when bit `bit` (0 to 63) of the second mask at `at` is set. */
  named(at: number, bit: number): boolean {
    return ((this.#data[at + 6 + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  #insert(ruleSet: number, group: number, resource: number, name: number): number {
    if (this.#size + 1 > (this.#mask + 1) * LOAD) this.#grow();
    const at = this.#free(ruleSet, group, resource, name);
    this.#data[at] = ruleSet + 1;
    this.#data[at + 1] = group;
    this.#data[at + 2] = resource;
    this.#data[at + 3] = name;
    this.#size++;
    return at;
  }

  #free(ruleSet: number, group: number, resource: number, name: number): number {
    let slot = hash(ruleSet, group, resource, name) & this.#mask;
    while (this.#data[slot * STRIDE] !== 0) slot = (slot + 1) & this.#mask;
    return slot * STRIDE;
  }

  #grow(): void {
    const old = this.#data;
    this.#data = new Int32Array(old.length * 2);
    this.#mask = this.#data.length / STRIDE - 1;
    for (let from = 0; from < old.length; from += STRIDE) {
      const held = old[from] ?? 0;
      if (held === 0) continue;
      const at = this.#free(held - 1, old[from + 1] ?? 0, old[from + 2] ?? 0, old[from + 3] ?? 0);
      for (let word = 0; word < STRIDE; word++) this.#data[at + word] = old[from + word] ?? 0;
    }
  }
}

function hash(a: number, b: number, c: number, d: number): number {
  let h =
    Math.imul(a + 1, 0x9e3779b1) ^
    Math.imul(b + 1, 0x85ebca77) ^
    Math.imul(c + 1, 0xc2b2ae3d) ^
    Math.imul(d + 1, 0x27d4eb2f);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return h ^ (h >>> 13);
}
