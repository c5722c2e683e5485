import type { Log } from "../../base/log.ts";
import type { ChannelState } from "./mirror/channel-state.ts";

/** Writes transitions of one channel one after the other; of several that wait, only the newest is written. */
export class ChannelReporter {
  readonly #cluster: string;
  readonly #write: ((cluster: string, state: ChannelState) => Promise<void>) | undefined;
  readonly #log: Log;
  #waiting: ChannelState | undefined;
  #writing = false;

  constructor(cluster: string, write: ((cluster: string, state: ChannelState) => Promise<void>) | undefined, log: Log) {
    this.#cluster = cluster;
    this.#write = write;
    this.#log = log;
  }

  report(state: ChannelState): void {
    if (this.#write === undefined) return;
    this.#waiting = state;
    if (!this.#writing) void this.#drain(this.#write);
  }

  async #drain(write: (cluster: string, state: ChannelState) => Promise<void>): Promise<void> {
    this.#writing = true;
    for (let state = this.#waiting; state !== undefined; state = this.#waiting) {
      this.#waiting = undefined;
      try {
        await write(this.#cluster, state);
      } catch (error) {
        // Status only: the next transition writes again.
        this.#log.warn({ err: error }, "state of the channel could not be written");
      }
    }
    this.#writing = false;
  }
}
