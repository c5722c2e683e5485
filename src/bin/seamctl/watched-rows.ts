/** Rows that were shown of a watch, so that a stream that was lost goes on with what changed meanwhile. */
export class WatchedRows {
  readonly #revisions = new Map<string, string>();

  /** A row was shown. */
  shown(key: string, revision: string): void {
    this.#revisions.set(key, revision);
  }

  /** A row is gone. */
  removed(key: string): void {
    this.#revisions.delete(key);
  }

  /** What to tell the hub when the stream is opened again. */
  get have(): { key: string; revision: string }[] {
    return [...this.#revisions].map(([key, revision]) => ({ key, revision }));
  }
}
