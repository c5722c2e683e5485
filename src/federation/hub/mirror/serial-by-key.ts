/** Runs work of one key one after the other, work of different keys at the same time. Holds a key only while it has work. */
export class SerialByKey {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Runs `work` after all earlier work of `key` has ended, whatever became of it. */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(work, work);
    const tail = result.then(
      () => undefined,
      () => undefined, // the caller has the failure; the next one only waits
    );
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    return result;
  }
}
