import { SeamError } from "../../base/errors.ts";

/** One thing wrong with the sources of a pack, for the person who wrote them. */
export interface PackProblem {
  /** Path as the person gave it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Stable CamelCase reason. */
  readonly reason: string;
  /** What is wrong, naming the object and field. */
  readonly text: string;
  /** What to do. */
  readonly remedy: string;
}

/** Most problems one error lists; the rest are counted. */
const MAX_LISTED = 100;

/** Every problem of a pack at once: nothing was stored. */
export class PackInvalid extends SeamError {
  override readonly name = "PackInvalid";
  readonly problems: readonly PackProblem[];

  constructor(directory: string, problems: readonly PackProblem[]) {
    const listed = problems.slice(0, MAX_LISTED).map(problemText);
    if (problems.length > MAX_LISTED) listed.push(`… and ${problems.length - MAX_LISTED} more`);
    super({
      reason: "PackInvalid",
      object: directory,
      expected: `${problems.length} ${problems.length === 1 ? "problem" : "problems"}, nothing was stored\n${listed.join("\n")}`,
    });
    this.problems = problems;
  }
}

/** `file:line: text; remedy`. */
export function problemText(problem: PackProblem): string {
  return `${problem.file}:${problem.line}: ${problem.text}; ${problem.remedy}`;
}
