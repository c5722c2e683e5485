import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

/** How often a long run says how far it is, milliseconds. */
const PROGRESS_MS = 20_000;
/** Names of skipped tests that are shown per file. */
const SHOWN_NAMES = 3;

/** Says how far a long run is and, at its end, plainly what was skipped. Failures are shown by the reporter beside it. */
export default class RunReport implements Reporter {
  #total = 0;
  #done = 0;
  #lastMs = 0;

  onTestRunStart(specifications: readonly unknown[]): void {
    this.#total = specifications.length;
    this.#done = 0;
    this.#lastMs = Date.now();
  }

  onTestModuleEnd(): void {
    this.#done += 1;
    const now = Date.now();
    if (now - this.#lastMs < PROGRESS_MS) return;
    this.#lastMs = now;
    process.stdout.write(` ${this.#done} of ${this.#total} test files\n`);
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const module of modules) {
      const skipped = [...module.children.allTests("skipped")];
      if (skipped.length === 0) continue;
      const names = skipped.map((test) => {
        const result = test.result();
        const note = result.state === "skipped" ? result.note : undefined;
        return note === undefined ? test.fullName : `${test.fullName} (${note})`;
      });
      const more = names.length > SHOWN_NAMES ? `; and ${names.length - SHOWN_NAMES} more` : "";
      const file = relative(process.cwd(), module.moduleId);
      process.stdout.write(` skipped in ${file}: ${names.slice(0, SHOWN_NAMES).join("; ")}${more}\n`);
    }
  }
}
