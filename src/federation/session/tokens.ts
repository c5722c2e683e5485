/** Numbers what the shell has to answer. */
export class Tokens {
  #last = 0;

  next(): number {
    return ++this.#last;
  }
}
