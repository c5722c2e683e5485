import { type FieldViolation, GrpcStatusError, Status } from "../../api/grpc/status-error.ts";

/** Longest principal, group, name, namespace, resource or path, characters. */
export const MAX_TEXT = 1_024;
/** Most groups of a principal. */
export const MAX_GROUPS = 256;

/** What a text may be. */
export interface TextLimits {
  readonly required?: boolean;
  /** Characters; default {@link MAX_TEXT}. */
  readonly max?: number;
}

const OPTIONAL: TextLimits = {};

function isWhole(value: string): boolean {
  return !value.includes("\0") && value.isWellFormed();
}

function isPlain(group: string): boolean {
  return group !== "" && group.length <= MAX_TEXT && isWhole(group);
}

/** Collects everything that is wrong with a request, then refuses it as a whole. */
export class FieldViolations {
  #found: FieldViolation[] | undefined;

  add(field: string, description: string): void {
    this.#found ??= [];
    this.#found.push({ field, description });
  }

  /** Bounded text without NUL or lone surrogates; empty unless `required`. */
  text(field: string, value: string, options: TextLimits = OPTIONAL): void {
    const max = options.max ?? MAX_TEXT;
    if (value === "") {
      if (options.required === true) this.add(field, "is required; name it");
    } else if (value.length > max) this.add(field, `has at most ${max} characters, found ${value.length}; shorten it`);
    else if (!isWhole(value)) this.add(field, "holds no NUL or broken characters; correct it");
  }

  groups(groups: readonly string[]): void {
    if (groups.length > MAX_GROUPS)
      this.add("groups", `has at most ${MAX_GROUPS} entries, found ${groups.length}; send fewer`);
    const looked = Math.min(groups.length, MAX_GROUPS);
    for (let i = 0; i < looked; i++) {
      const group = groups[i] ?? "";
      if (!isPlain(group)) this.text(`groups[${i}]`, group, { required: true });
    }
  }

  /** Takes over what was found elsewhere, under a path. */
  addAll(prefix: string, other: FieldViolations): void {
    for (const { field, description } of other.#found ?? []) this.add(`${prefix}.${field}`, description);
  }

  /** @throws GrpcStatusError INVALID_ARGUMENT with every violation */
  throwIfAny(object: string): void {
    const [first] = this.#found ?? [];
    if (this.#found === undefined || first === undefined) return;
    const more = this.#found.length > 1 ? ` (and ${this.#found.length - 1} more)` : "";
    throw new GrpcStatusError(
      Status.INVALID_ARGUMENT,
      { reason: "InvalidRequest", object, field: first.field, expected: `${first.description}${more}` },
      { violations: this.#found },
    );
  }
}
