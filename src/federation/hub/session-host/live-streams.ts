import type { Principal } from "../../../api/grpc/principal.ts";
import type { WirePipe } from "../../wire/pipe.ts";

/** Facts being stored above which a stream is not read, and below which it is read again (lessons §4.4). */
const PAUSE_ABOVE = 32;
const RESUME_BELOW = 16;

interface LiveStream {
  readonly pipe: WirePipe;
  readonly principal: Principal;
  paused: boolean;
}

/** The streams of one cluster that are not closed yet, by generation: the one that carries the session, and those that linger. */
export class LiveStreams {
  /** One or two: a list is smaller than a map, and a replica has one for each tenant. */
  #streams: readonly LiveStream[] = [];
  #storing = 0;
  #last: Principal | undefined;

  add(pipe: WirePipe, principal: Principal): void {
    this.#last = principal;
    const stream: LiveStream = { pipe, principal, paused: false };
    // A list that is spread gets room for sixteen more.
    this.#streams = this.#streams.length === 0 ? [stream] : [...this.#streams, stream];
  }

  remove(generation: number): void {
    this.#streams = this.#streams.filter(({ pipe }) => pipe.generation !== generation);
  }

  pipe(generation: number): WirePipe | undefined {
    return this.#streams.find(({ pipe }) => pipe.generation === generation)?.pipe;
  }

  get size(): number {
    return this.#streams.length;
  }

  /** Who opened the newest stream, closed or not. */
  get lastPrincipal(): Principal | undefined {
    return this.#last;
  }

  /** Who opened those that are not closed. */
  principals(): readonly Principal[] {
    return this.#streams.map(({ principal }) => principal);
  }

  destroyAll(reason: string): void {
    for (const { pipe } of this.#streams) pipe.destroy(reason, 0);
  }

  /** Does work for a fact that came in. While too much of it is under way nothing more is read. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (++this.#storing > PAUSE_ABOVE) this.#pause();
    try {
      return await work();
    } finally {
      if (--this.#storing < RESUME_BELOW) this.#resume();
    }
  }

  #pause(): void {
    for (const stream of this.#streams) {
      if (!stream.paused) stream.pipe.pause();
      stream.paused = true;
    }
  }

  #resume(): void {
    for (const stream of this.#streams) {
      if (stream.paused) stream.pipe.resume();
      stream.paused = false;
    }
  }
}
