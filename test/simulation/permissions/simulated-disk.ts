import type { DurableDirectory } from "../../../src/trust/durable-directory.ts";
import type { AgentLife } from "../plane.ts";
import type { World } from "../world.ts";

interface DiskCopy<M> {
  readonly files: Map<string, Uint8Array>;
  readonly marks: M;
}

/**
 * The folder of one store on a disk that survives its process. Every write takes time, the process may die before and after it, and a
 * disk that is {@link tearing} loses its last writes with the power although it said they were safe. `marks` is what an onlooker knows
 * of the content; it goes back with it.
 */
export class SimulatedDisk<M> implements DurableDirectory {
  marks: M;
  life: AgentLife | undefined = undefined;
  readonly #world: World;
  readonly #none: M;
  #files: Map<string, Uint8Array> = new Map();
  #undo: DiskCopy<M>[] = [];
  #tearing = 0;
  #backup: DiskCopy<M> | undefined = undefined;
  /** Writes so far, for coverage. */
  writes = 0;
  #dies: { left: number; readonly now: () => void } | undefined = undefined;

  constructor(world: World, none: M) {
    this.#world = world;
    this.#none = none;
    this.marks = none;
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return this.#operation(() => this.#files.get(name));
  }

  write(name: string, data: Uint8Array | string): Promise<void> {
    const bytes = Buffer.from(data);
    return this.#change(() => this.#files.set(name, bytes));
  }

  remove(name: string): Promise<void> {
    return this.#change(() => this.#files.delete(name));
  }

  names(): Promise<readonly string[]> {
    return this.#operation(() => [...this.#files.keys()]);
  }

  sync(): Promise<void> {
    return this.#operation(() => {});
  }

  /** What an onlooker reads without anybody's help. */
  peek(name: string): Uint8Array | undefined {
    return this.#files.get(name);
  }

  /** The process dies right behind the `writes`-th change from now. */
  dieBehind(writes: number, now: () => void): void {
    this.#dies = { left: writes, now };
  }

  /** No such death is left over. */
  settle(): void {
    this.#dies = undefined;
  }

  backup(): void {
    this.#backup = this.#copy();
  }

  /** The last backup comes back; an empty disk when there is none. */
  restore(): void {
    const { files, marks } = this.#backup ?? { files: new Map<string, Uint8Array>(), marks: this.#none };
    this.#files = new Map(files);
    this.marks = marks;
  }

  tearing(writes: number): void {
    this.#tearing = writes;
  }

  /** The machine lost power. Nothing unless the disk was {@link tearing}. */
  tear(): void {
    const copy = this.#undo[0];
    this.#tearing = 0;
    this.#undo = [];
    if (copy === undefined) return;
    this.#files = copy.files;
    this.marks = copy.marks;
  }

  #copy(): DiskCopy<M> {
    return { files: new Map(this.#files), marks: this.marks };
  }

  #keep(): void {
    this.writes++;
    if (this.#tearing === 0) return;
    this.#undo.push(this.#copy());
    if (this.#undo.length > this.#tearing) this.#undo.shift();
  }

  #change(run: () => unknown): Promise<void> {
    return this.#operation(() => {
      this.#keep();
      run();
      const dies = this.#dies;
      if (dies === undefined || --dies.left > 0) return;
      this.#dies = undefined;
      dies.now();
    });
  }

  #operation<T>(run: () => T): Promise<T> {
    const { life } = this;
    const world = this.#world;
    return new Promise((resolve) => {
      life?.process.after(world.chance(0.05) ? 80 : world.between(0, 4), () => {
        if (life.boundary()) return;
        const outcome = run();
        // The process may have died of it.
        if (this.life !== life || life.boundary()) return;
        world.stir();
        resolve(outcome);
      });
    });
  }
}
