/**
 * One rule: a strict superset of a Kubernetes PolicyRule (permissions §5.1). Strings are compared byte for byte, case-sensitively,
 * without trimming. A resource rule has no `nonResourceURLs`; a URL rule has nothing else but verbs.
 */
export interface Rule {
  readonly verbs: readonly string[];
  /** `""` is the core group, `*` is all; an empty list matches nothing. */
  readonly apiGroups: readonly string[];
  /** `*`, `name`, `name/sub` or `*` + `/sub`; anything else is a literal. */
  readonly resources: readonly string[];
  /** Empty is every name; otherwise literals, `*` included. */
  readonly resourceNames: readonly string[];
  /** `*`, a path, or a path with trailing stars: a prefix. */
  readonly nonResourceURLs: readonly string[];
}

/** A rule as objects write it: every list optional. */
export type RuleInput = { readonly [Field in keyof Rule]?: readonly string[] | undefined };

const NONE: readonly string[] = [];

/** Rule with every list present. */
export function ruleOf(input: RuleInput): Rule {
  return {
    verbs: input.verbs ?? NONE,
    apiGroups: input.apiGroups ?? NONE,
    resources: input.resources ?? NONE,
    resourceNames: input.resourceNames ?? NONE,
    nonResourceURLs: input.nonResourceURLs ?? NONE,
  };
}
