import type { PipeListener } from "../../wire/pipe.ts";

/** What a stream tells, and by which number. */
export interface StreamOwner {
  received(generation: number, bytes: Uint8Array): void;
  drained(generation: number): void;
  closed(generation: number, peer: string, reason: string): void;
}

/** What one stream of a session tells its host. An object of its own, and not three functions: there are thousands. */
export class HostedStream implements PipeListener {
  readonly #owner: StreamOwner;
  readonly #generation: number;
  readonly #peer: string;

  constructor(owner: StreamOwner, generation: number, peer: string) {
    this.#owner = owner;
    this.#generation = generation;
    this.#peer = peer;
  }

  received(bytes: Uint8Array): void {
    this.#owner.received(this.#generation, bytes);
  }

  drained(): void {
    this.#owner.drained(this.#generation);
  }

  closed(reason: string): void {
    this.#owner.closed(this.#generation, this.#peer, reason);
  }
}
