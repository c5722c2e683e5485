import { SeamError, errorMessage } from "../../base/errors.ts";
import { isJsonObject } from "../../base/json.ts";

/** What of the decisions is logged (permissions §12.4). Denies and explanations always are, whatever a policy says. */
export interface DecisionLogPolicy {
  /** Share of allowed decisions, 0 to 1. */
  readonly allowSampleRate: number;
  /** The first that matches decides instead of {@link allowSampleRate}, and masks. */
  readonly rules: readonly DecisionLogRule[];
}

/** One rule; absent members match everything. Patterns are exact, or end in `*`. */
export interface DecisionLogRule {
  readonly principals?: readonly string[];
  readonly verbs?: readonly string[];
  /** As they are logged: `pods`, `secrets/token.v1`, `/healthz`. */
  readonly resources?: readonly string[];
  readonly allowSampleRate?: number;
  /** Members whose text is replaced. */
  readonly mask?: readonly MaskableMember[];
}

/** Members of a decision that a rule may hide. */
export type MaskableMember = (typeof MASKABLE)[number];

const MASKABLE = ["caller", "namespace", "requestId", "resource", "subject"] as const;
/** What stands in place of a masked text. */
export const MASKED = "***";
/** Most rules of a policy, and patterns of a rule. */
const MAX_RULES = 256;

/** One in a hundred allows. */
export const DEFAULT_DECISION_LOG_POLICY: DecisionLogPolicy = { allowSampleRate: 0.01, rules: [] };

/** What a rule looks at. */
export interface LoggedDecision {
  readonly principal: string;
  readonly verb: string;
  readonly resource: string;
}

/** The rule that decides about a decision; undefined for none. */
export function ruleFor(policy: DecisionLogPolicy, decision: LoggedDecision): DecisionLogRule | undefined {
  return policy.rules.find(
    ({ principals, verbs, resources }) =>
      fits(principals, decision.principal) && fits(verbs, decision.verb) && fits(resources, decision.resource),
  );
}

function fits(patterns: readonly string[] | undefined, text: string): boolean {
  return (
    patterns === undefined ||
    patterns.some((pattern) => (pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern))
  );
}

/**
 * Reads a policy: JSON with `allowSampleRate` and `rules`, both optional.
 *
 * @throws SeamError `AuditPolicyInvalid` naming the member
 */
export function parseDecisionLogPolicy(text: string, object: string): DecisionLogPolicy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(object, "", `JSON: ${errorMessage(cause)}`);
  }
  const at = new Member(object, "", value);
  const fields = at.object(["allowSampleRate", "rules"]);
  const { allowSampleRate, rules } = fields;
  return {
    allowSampleRate:
      allowSampleRate === undefined
        ? DEFAULT_DECISION_LOG_POLICY.allowSampleRate
        : at.of("allowSampleRate", allowSampleRate).share(),
    rules: rules === undefined ? [] : at.of("rules", rules).list().map(readRule),
  };
}

function readRule(at: Member): DecisionLogRule {
  const fields = at.object(["principals", "verbs", "resources", "allowSampleRate", "mask"]);
  const texts = (name: "principals" | "verbs" | "resources"): DecisionLogRule =>
    fields[name] === undefined
      ? {}
      : {
          [name]: at
            .of(name, fields[name])
            .list()
            .map((each) => each.text()),
        };
  const { allowSampleRate, mask } = fields;
  return {
    ...texts("principals"),
    ...texts("verbs"),
    ...texts("resources"),
    ...(allowSampleRate !== undefined && { allowSampleRate: at.of("allowSampleRate", allowSampleRate).share() }),
    ...(mask !== undefined && {
      mask: at
        .of("mask", mask)
        .list()
        .map((each) => each.oneOf(MASKABLE)),
    }),
  };
}

/** One member of the file with its place, for errors. */
class Member {
  readonly #object: string;
  readonly #path: string;
  readonly #value: unknown;

  constructor(object: string, path: string, value: unknown) {
    this.#object = object;
    this.#path = path;
    this.#value = value;
  }

  of(name: string, value: unknown): Member {
    return new Member(this.#object, this.#path === "" ? name : `${this.#path}.${name}`, value);
  }

  object(known: readonly string[]): Readonly<Record<string, unknown>> {
    if (!isJsonObject(this.#value)) throw this.#wrong("an object");
    for (const name of Object.keys(this.#value))
      if (!known.includes(name)) throw this.of(name, undefined).#wrong(`one of ${known.join(", ")}`);
    return this.#value;
  }

  list(): readonly Member[] {
    if (!Array.isArray(this.#value) || this.#value.length > MAX_RULES)
      throw this.#wrong(`a list of at most ${MAX_RULES}`);
    return this.#value.map((value, i) => new Member(this.#object, `${this.#path}[${i}]`, value));
  }

  text(): string {
    if (typeof this.#value !== "string" || this.#value === "") throw this.#wrong("a text");
    return this.#value;
  }

  share(): number {
    if (typeof this.#value !== "number" || !(this.#value >= 0 && this.#value <= 1))
      throw this.#wrong("a number from 0 to 1");
    return this.#value;
  }

  oneOf<T extends string>(words: readonly T[]): T {
    const found = words.find((word) => word === this.#value);
    if (found === undefined) throw this.#wrong(`one of ${words.join(", ")}`);
    return found;
  }

  #wrong(expected: string): SeamError {
    return invalid(this.#object, this.#path, expected);
  }
}

function invalid(object: string, field: string, expected: string): SeamError {
  return new SeamError({
    reason: "AuditPolicyInvalid",
    object,
    ...(field !== "" && { field }),
    expected,
    remedy: "docs/audit.md shows a policy",
  });
}
