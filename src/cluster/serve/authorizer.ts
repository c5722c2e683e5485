import type { User } from "./user.ts";

/** What a request wants to do. */
export type AccessAttributes =
  | {
      readonly type: "resource";
      readonly verb: string;
      readonly group: string;
      readonly version: string;
      readonly resource: string;
      /** Empty when the resource itself is meant. */
      readonly subresource: string;
      /** Empty for collections and creates. */
      readonly name: string;
      /** Empty at the cluster scope. */
      readonly namespace: string;
    }
  | { readonly type: "nonResource"; readonly verb: string; readonly path: string };

/** An answer with its reason, for `kubectl auth can-i` and the 403 text. */
export interface AccessDecision {
  readonly allowed: boolean;
  /** Why; empty when there is nothing to add. */
  readonly reason: string;
}

/** What a user may do in a namespace, in the shape of `SelfSubjectRulesReview`. */
export interface AccessRules {
  readonly resourceRules: readonly {
    readonly verbs: readonly string[];
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
  }[];
  readonly nonResourceRules: readonly {
    readonly verbs: readonly string[];
    readonly nonResourceURLs: readonly string[];
  }[];
  /** True when the authorizer cannot enumerate everything it would allow. */
  readonly incomplete: boolean;
  /** Why it is incomplete; empty when there is nothing to say. */
  readonly evaluationError: string;
}

/** Decides what an authenticated user may do. */
export interface Authorizer {
  authorize(user: User, attributes: AccessAttributes): Promise<AccessDecision>;
  rules(user: User, namespace: string): Promise<AccessRules>;
}

/** Members may do everything, before any rule is asked (Kubernetes' break-glass group). */
export const MASTERS_GROUP = "system:masters";
