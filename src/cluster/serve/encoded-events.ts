/** Bytes of encoded events that are kept in each of the two generations. */
const MAX_GENERATION_BYTES = 4 * 1024 * 1024;

/**
 * Events as they go over the wire, encoded once and shared by every watch that shows them in the same form. Two generations, each
 * bounded: what was not asked for during one generation is forgotten, so what is held does not grow with the cluster.
 */
export class EncodedEvents {
  #young = new Map<string, Buffer>();
  #old = new Map<string, Buffer>();
  #youngBytes = 0;
  /** Events that had to be encoded. */
  encoded = 0;

  /**
   * @param key everything that decides the bytes: type, uid, resourceVersion and form
   * @param encode makes the line when nobody has asked for it lately
   */
  line(key: string, encode: () => string): Buffer {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    let line = this.#old.get(key);
    if (line === undefined) {
      line = Buffer.from(encode());
      this.encoded++;
    }
    this.#young.set(key, line);
    this.#youngBytes += line.length;
    if (this.#youngBytes > MAX_GENERATION_BYTES) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    return line;
  }
}
