import { basename, dirname } from "node:path";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { isJsonObject } from "../../base/json.ts";
import { type DurableDirectory, durableDirectory } from "../durable-directory.ts";
import {
  type Floor,
  NO_FLOOR,
  type OrderingValue,
  type OrderingVerdict,
  judgeOrdering,
  raiseAccepted,
  raiseMinimum,
} from "./ordering.ts";

/** Most names one floor file may hold. */
export const MAX_FLOORS = 10_000;

const FORMAT = 1;

/**
 * Floors that survive restarts, in one small JSON file: for a process without a database of its own. Concurrent changes share one
 * write (temp, fsync, rename, fsync of the folder), and every call resolves only after the write that holds its change.
 */
export class FloorFile {
  readonly #path: string;
  readonly #directory: DurableDirectory;
  readonly #floors: Map<string, Floor>;
  #write: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  /** Changes made, and how many of them are known to be on disk. */
  #changes = 0;
  #durable = 0;

  private constructor(path: string, directory: DurableDirectory, floors: Map<string, Floor>) {
    this.#path = path;
    this.#directory = directory;
    this.#floors = floors;
  }

  /**
   * Opens or begins a floor file.
   *
   * @param directory the folder of `path`, when it is not on this machine's disk
   * @throws SeamError `FloorsUnreadable` for a damaged file: starting without floors would allow a rollback, so a person decides
   */
  static async open(path: string, directory: DurableDirectory = durableDirectory(dirname(path))): Promise<FloorFile> {
    const bytes = await directory.read(basename(path));
    return new FloorFile(path, directory, bytes === undefined ? new Map() : parse(path, Buffer.from(bytes).toString()));
  }

  /** Floor of a name. */
  get(name: string): Floor {
    return this.#floors.get(name) ?? NO_FLOOR;
  }

  /**
   * Judges `offered` and, when it is newer, raises the floor. Resolves after the raise is durable, so a caller that then acts can
   * never act again on something older.
   *
   * @throws SeamError `TooManyFloors`; a failed write rejects and leaves the floor raised in memory, which only refuses more
   */
  async accept(name: string, offered: OrderingValue): Promise<OrderingVerdict> {
    const verdict = judgeOrdering(this.get(name), offered);
    if (verdict.verdict === "newer") {
      this.#set(name, raiseAccepted(this.get(name), offered));
      await this.#flush();
    } else if (verdict.verdict === "equal" && this.#durable < this.#changes) {
      // The raise this equals may still be on its way to the disk, or its write may have failed.
      await this.#flush();
    }
    return verdict;
  }

  /** Raises the revocation floor of a name; never lowers. Resolves when durable. */
  async revokeBelow(name: string, sequence: number): Promise<void> {
    const held = this.get(name);
    const raised = raiseMinimum(held, sequence);
    if (raised !== held) this.#set(name, raised);
    // Also when it stood already: the write that holds it may be on its way, or may have failed.
    if (this.#durable < this.#changes) await this.#flush();
  }

  /** Names that have a revocation floor, with it. */
  revoked(): ReadonlyMap<string, number> {
    const minimums = [...this.#floors].map(([name, floor]) => [name, floor.minimumSequence] as const);
    return new Map(minimums.filter(([, minimum]) => minimum > 0));
  }

  #set(name: string, floor: Floor): void {
    if (!this.#floors.has(name) && this.#floors.size >= MAX_FLOORS)
      throw new SeamError({
        reason: "TooManyFloors",
        object: `floor file ${this.#path}`,
        expected: `at most ${MAX_FLOORS} names`,
        remedy: "this bound is never reached by one cluster's artifacts; look for names that are made up",
      });
    this.#floors.set(name, floor);
    this.#changes += 1;
  }

  /** Group commit: the write in flight may have missed the newest change, the one after it holds it. */
  #flush(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const next = this.#write
      .catch(() => {
        // the callers of the earlier write were told; this one writes everything again
      })
      .then(async () => {
        this.#write = next;
        this.#next = undefined;
        const changes = this.#changes;
        await this.#directory.write(basename(this.#path), this.#serialize());
        this.#durable = changes;
      });
    this.#next = next;
    return next;
  }

  #serialize(): string {
    const floors = Object.fromEntries([...this.#floors].sort(([a], [b]) => (a < b ? -1 : 1)));
    return `${JSON.stringify({ format: FORMAT, floors })}\n`;
  }
}

function parse(path: string, text: string): Map<string, Floor> {
  const bad = (why: string, cause?: unknown): SeamError =>
    new SeamError(
      {
        reason: "FloorsUnreadable",
        object: `floor file ${path}`,
        expected: `must be readable: ${why}`,
        remedy: "restore it from a backup; remove it only if a rollback of this cluster's content is acceptable",
      },
      { cause },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(errorMessage(cause), cause);
  }
  if (!isJsonObject(value) || value["format"] !== FORMAT || !isJsonObject(value["floors"]))
    throw bad(`format ${FORMAT} expected`);
  const floors = new Map<string, Floor>();
  for (const [name, entry] of Object.entries(value["floors"])) {
    const floor = parseFloor(entry);
    if (floor === undefined) throw bad(`entry ${JSON.stringify(name)}`);
    floors.set(name, floor);
  }
  return floors;
}

function parseFloor(value: unknown): Floor | undefined {
  if (!isJsonObject(value)) return undefined;
  const { accepted, minimumSequence } = value;
  if (typeof minimumSequence !== "number") return undefined;
  if (accepted === undefined) return { minimumSequence };
  if (!isJsonObject(accepted)) return undefined;
  const { epoch, sequence, digest } = accepted;
  if (typeof epoch !== "number" || typeof sequence !== "number" || typeof digest !== "string") return undefined;
  return { accepted: { epoch, sequence, digest }, minimumSequence };
}
