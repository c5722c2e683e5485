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
}

/** Decides what an authenticated user may do. */
export interface Authorizer {
  authorize(user: User, attributes: AccessAttributes): Promise<AccessDecision>;
  rules(user: User, namespace: string): Promise<AccessRules>;
}

/** Members may do everything, before any rule is asked (Kubernetes' break-glass group). */
export const MASTERS_GROUP = "system:masters";

/** Everybody may read these (Kubernetes' `system:public-info-viewer`). */
const PUBLIC_PATHS: ReadonlySet<string> = new Set(["/healthz", "/livez", "/readyz", "/version", "/version/"]);
/** Every authenticated user may read these (`system:discovery`). */
const DISCOVERY_PATHS = ["/api", "/apis", "/openapi"];
/** Every authenticated user may ask about itself (`system:basic-user`). */
const SELF_REVIEWS = new Map([
  ["authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]],
  ["authentication.k8s.io", ["selfsubjectreviews"]],
]);

/**
 * The authorizer of a development cluster: `system:masters` may do everything; everybody else may look at discovery and ask about
 * himself, and nothing more.
 */
export function mastersOnly(): Authorizer {
  const isMaster = (user: User): boolean => user.groups.includes(MASTERS_GROUP);
  const isAuthenticated = (user: User): boolean => user.groups.includes("system:authenticated");
  return {
    authorize: (user, attributes) => {
      const decide = (): boolean => {
        if (isMaster(user)) return true;
        if (attributes.type === "nonResource") {
          if (attributes.verb !== "get") return false;
          if (PUBLIC_PATHS.has(attributes.path)) return true;
          const discovery = DISCOVERY_PATHS.some(
            (root) => attributes.path === root || attributes.path.startsWith(`${root}/`),
          );
          return discovery && isAuthenticated(user);
        }
        const reviews = SELF_REVIEWS.get(attributes.group) ?? [];
        return attributes.verb === "create" && reviews.includes(attributes.resource) && isAuthenticated(user);
      };
      return Promise.resolve({ allowed: decide(), reason: "" });
    },
    rules: (user) =>
      Promise.resolve({
        resourceRules: [
          ...(isAuthenticated(user)
            ? [...SELF_REVIEWS].map(([group, resources]) => ({ verbs: ["create"], apiGroups: [group], resources }))
            : []),
          ...(isMaster(user) ? [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }] : []),
        ],
        nonResourceRules: [
          { verbs: ["get"], nonResourceURLs: [...PUBLIC_PATHS] },
          ...(isAuthenticated(user)
            ? [{ verbs: ["get"], nonResourceURLs: DISCOVERY_PATHS.flatMap((path) => [path, `${path}/*`]) }]
            : []),
          ...(isMaster(user) ? [{ verbs: ["*"], nonResourceURLs: ["*"] }] : []),
        ],
        incomplete: false,
      }),
  };
}
