/** From commit to acknowledgement of many changes, in one clock. */
export class CommitClock {
  /** Commits that are still out, oldest first, by stream. */
  readonly #open = new Map<string, { readonly order: number; readonly atMs: number }[]>();
  readonly #latenciesMs = new Map<string, number[]>();
  #count = 0;
  #done: () => void = () => {};

  /** Change number `order` of a key was committed, or belongs to a change that was ordered at `atMs`. Orders rise by key. */
  committed(key: string, order: number, atMs: number = performance.now()): void {
    const open = this.#open.get(key);
    if (open === undefined) this.#open.set(key, [{ order, atMs }]);
    else open.push({ order, atMs });
    this.#count++;
  }

  /** Everything of a key up to `order` has been acknowledged: a newer version acknowledges the older ones. */
  acknowledged(key: string, order: number): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    const nowMs = performance.now();
    while (open[0] !== undefined && open[0].order <= order) {
      const { atMs } = open[0];
      open.shift();
      this.#count--;
      let latencies = this.#latenciesMs.get(key);
      if (latencies === undefined) this.#latenciesMs.set(key, (latencies = []));
      latencies.push(nowMs - atMs);
    }
    if (this.#count === 0) this.#done();
  }

  /** Resolves when no commit is out. */
  async settled(): Promise<void> {
    if (this.#count > 0)
      await new Promise<void>((resolve) => {
        this.#done = resolve;
      });
  }

  /** Resolves when no commit of these keys is out. */
  async settledOf(keys: readonly string[]): Promise<void> {
    while (keys.some((key) => (this.#open.get(key)?.length ?? 0) > 0)) await new Promise((next) => setTimeout(next, 5));
  }

  /** Takes what was measured for some keys. */
  take(keys: Iterable<string>): number[] {
    const all: number[] = [];
    for (const key of keys) {
      all.push(...(this.#latenciesMs.get(key) ?? []));
      this.#latenciesMs.delete(key);
    }
    return all;
  }
}

/** Calls `commit` for one cluster after another at an even pace; late calls catch up, as an arrival process does. */
export async function atPace(
  clusters: readonly string[],
  { perSecond, changes }: { readonly perSecond: number; readonly changes: number },
  commit: (cluster: string) => void,
): Promise<void> {
  const began = performance.now();
  for (let done = 0; done < changes;) {
    const due = Math.min(changes, Math.floor(((performance.now() - began) * perSecond) / 1000));
    for (; done < due; done++) commit(clusters[done % clusters.length] ?? "");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
