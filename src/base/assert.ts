/** An internal rule that must hold was broken: a bug, never bad input. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

/** Throws {@link InvariantViolation} when `condition` is false. For what must be true, not for checking input. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}

/** Makes a `switch` exhaustive: the compiler refuses a call that can be reached. */
export function assertNever(value: never): never {
  throw new InvariantViolation(`unreachable case: ${JSON.stringify(value)}`);
}
