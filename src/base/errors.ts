/** Parts of an error a person can act on. Every error that a person sees names the object, the field, what was expected and what to do. */
export interface ErrorParts {
  /** Stable CamelCase reason, for example `ManifestInvalid`; the contract for programs. */
  readonly reason: string;
  /** What the error is about: an object, a file with line, a flag. */
  readonly object: string;
  /** Field path or part of the object; empty when it is the object as a whole. */
  readonly field?: string;
  /** What was expected and what was found instead. */
  readonly expected: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** Error with the parts a person needs. The message reads `object: field: expected; remedy`. */
export class SeamError extends Error {
  override readonly name: string = "SeamError";
  readonly parts: ErrorParts;

  constructor(parts: ErrorParts, options?: { cause?: unknown }) {
    const field = parts.field ? ` ${parts.field}:` : "";
    const remedy = parts.remedy ? `; ${parts.remedy}` : "";
    super(`${parts.object}:${field} ${parts.expected}${remedy}`, options);
    this.parts = parts;
  }

  get reason(): string {
    return this.parts.reason;
  }
}

/** Message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
