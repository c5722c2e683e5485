import { type FieldViolation, GrpcStatusError, Status } from "../../api/grpc/status-error.ts";

/** Longest principal, group, name, namespace, resource or path, characters. */
export const MAX_TEXT = 1_024;
/** Most groups of a principal. */
export const MAX_GROUPS = 256;

/** Collects everything that is wrong with a request, then refuses it as a whole. */
export class FieldViolations {
  readonly #found: FieldViolation[] = [];

  add(field: string, description: string): void {
    this.#found.push({ field, description });
  }

  /** Bounded text without NUL or lone surrogates; empty unless `required`. */
  text(field: string, value: string, options: { readonly required?: boolean; readonly max?: number } = {}): void {
    const max = options.max ?? MAX_TEXT;
    if (options.required === true && value === "") this.add(field, "is required; name it");
    else if (value.length > max) this.add(field, `has at most ${max} characters, found ${value.length}; shorten it`);
    else if (value.includes("\0") || !value.isWellFormed())
      this.add(field, "holds no NUL or broken characters; correct it");
  }

  groups(groups: readonly string[]): void {
    if (groups.length > MAX_GROUPS)
      this.add("groups", `has at most ${MAX_GROUPS} entries, found ${groups.length}; send fewer`);
    for (const [i, group] of groups.slice(0, MAX_GROUPS).entries())
      this.text(`groups[${i}]`, group, { required: true });
  }

  /** Takes over what was found elsewhere, under a path. */
  addAll(prefix: string, other: FieldViolations): void {
    for (const { field, description } of other.#found) this.add(`${prefix}.${field}`, description);
  }

  /** @throws GrpcStatusError INVALID_ARGUMENT with every violation */
  throwIfAny(object: string): void {
    const first = this.#found[0];
    if (first === undefined) return;
    const more = this.#found.length > 1 ? ` (and ${this.#found.length - 1} more)` : "";
    throw new GrpcStatusError(
      Status.INVALID_ARGUMENT,
      { reason: "InvalidRequest", object, field: first.field, expected: `${first.description}${more}` },
      { violations: this.#found },
    );
  }
}
