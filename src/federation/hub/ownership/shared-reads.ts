/**
 * Reads that many callers may share, where each needs an answer no older than its own question: a caller that comes while a read is under
 * way waits for the next one, which begins when that one has ended. So a burst of questions costs two reads.
 */
export class SharedReads<T> {
  readonly #read: (key: string) => Promise<T>;
  readonly #running = new Map<string, Promise<T>>();
  readonly #next = new Map<string, Promise<T>>();

  constructor(read: (key: string) => Promise<T>) {
    this.#read = read;
  }

  /** What stands there now. @throws what the read threw */
  read(key: string): Promise<T> {
    const running = this.#running.get(key);
    if (running === undefined) return this.#start(key);
    let next = this.#next.get(key);
    if (next === undefined) {
      const begin = (): Promise<T> => {
        this.#next.delete(key);
        return this.#start(key);
      };
      next = running.then(begin, begin);
      this.#next.set(key, next);
    }
    return next;
  }

  #start(key: string): Promise<T> {
    const started = this.#read(key);
    this.#running.set(key, started);
    const ended = (): void => {
      if (this.#running.get(key) === started) this.#running.delete(key);
    };
    started.then(ended, ended);
    return started;
  }
}
