import { must } from "./world.ts";

/** Agent processes after which a hub may have forgotten the first. */
const REMEMBERED = 16;

/** Two agents with one certificate are noticed by one hub process as soon as a process comes back that another one had replaced, and never otherwise. */
export class RivalRules {
  readonly #who: string;
  /** Agent processes in the order in which they said Hello, each named again only when another one was between. */
  readonly #said: string[] = [];

  constructor(who: string) {
    this.#who = who;
  }

  /** A Hello was accepted, and the machine then says whether it knows of rivals. */
  accepted(instanceId: string, knows: boolean): void {
    const said = this.#said;
    if (instanceId !== "" && said.at(-1) !== instanceId) said.push(instanceId);
    const different = new Set(said);
    if (different.size > REMEMBERED) return;
    const are = different.size < said.length;
    must(knows === are, `${this.#who} ${knows ? "takes" : "does not take"} ${said.join(", ")} for rivals`);
  }
}
