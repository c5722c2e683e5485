import type { PermissionRule, PermissionSet } from "../../api/kinds/permission-set.ts";
import type { PermissionDeclaration, RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { RbacSubject, RoleBindingObject, RoleObject } from "../../api/builtin.ts";
import { LABELS, MAX_OBJECT_NAME, PERMISSION_LAYERS, tenantNamespace } from "../../api/names.ts";
import { sha256Hex } from "../../base/digest.ts";
import { canonicalRules } from "../algebra/canonical.ts";
import { resourceHalf, urlHalf } from "../algebra/rule-half.ts";
import { isMaterialised } from "../materialise/materialised.ts";
import { parseServiceAccountUser, serviceAccountUser } from "../rules/principal.ts";
import { type Rule, ruleOf, ruleToJson } from "../rules/rule.ts";
import { findingText, validateRules } from "../rules/rule-validation.ts";
import type { RbacObjects } from "../surface/rbac-surface.ts";

/** Value of the managed-by label on what an import makes. */
export const IMPORTED = "rbac-import";
/** Most declarations a profile may have (schema of RBACProfile). */
const MAX_DECLARATIONS = 200;
/** Most namespaces of one declaration (schema of RBACProfile). */
const MAX_NAMESPACES = 500;

/** Why something could not be taken over as it stands. */
export type ImportReason =
  | "GroupSubject"
  | "SystemSubject"
  | "NamespacelessAccount"
  | "RoleMissing"
  | "InertRule"
  | "RuleInvalid"
  | "AggregatedRole"
  | "TooManyDeclarations"
  | "NothingGranted";

/** One thing that the result does not say, or says otherwise. */
export interface ImportNote {
  readonly reason: ImportReason;
  /** `lost`: a right that is not imported. `changed`: imported, and from now on it behaves otherwise. `ignored`: Kubernetes' own. */
  readonly effect: "lost" | "changed" | "ignored";
  /** `Kind namespace/name`. */
  readonly object: string;
  /** What cannot be expressed and why. */
  readonly detail: string;
  /** What to do about it; empty when nothing is to be done. */
  readonly remedy: string;
}

/** What an import makes: sorted by name, equal for equal RBAC in any order. */
export interface ImportedRbac {
  readonly sets: readonly PermissionSet[];
  readonly profiles: readonly RBACProfile[];
  readonly notes: readonly ImportNote[];
  /** Bindings that were looked at, and how many subjects of them were taken over. */
  readonly bindings: number;
  readonly grants: number;
}

interface Grant {
  readonly principal: string;
  readonly set: string;
  readonly scope: "cluster" | "namespaced";
  readonly namespace: string;
}

/**
 * Takes over the RBAC of an existing cluster as claims (permissions §3, §13.4), pure: a PermissionSet per role that is bound, a profile
 * per principal, under `cluster-policy`. What no profile can say is told and never approximated by more.
 */
export function importRbac(cluster: string, objects: RbacObjects): ImportedRbac {
  return new Import(cluster, objects).run();
}

class Import {
  readonly #namespace: string;
  readonly #cluster: string;
  readonly #roles = new Map<string, RoleObject>();
  readonly #bindings: readonly RoleBindingObject[];
  readonly #sets = new Map<string, PermissionSet | undefined>();
  readonly #notes = new Map<string, ImportNote>();
  readonly #grants: Grant[] = [];

  constructor(cluster: string, { roles, clusterRoles, roleBindings, clusterRoleBindings }: RbacObjects) {
    this.#cluster = cluster;
    this.#namespace = tenantNamespace(cluster);
    for (const role of [...roles, ...clusterRoles]) this.#roles.set(roleKey(role.metadata), role);
    this.#bindings = [...roleBindings, ...clusterRoleBindings]
      // What the plane itself materialised comes from profiles already.
      .filter((binding) => !isMaterialised(binding))
      .sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
  }

  run(): ImportedRbac {
    for (const binding of this.#bindings) this.#binding(binding);
    const profiles = this.#profiles();
    const used = new Set(
      profiles.flatMap(({ spec }) => spec.permissionDeclarations.map(({ permissionSetRef }) => permissionSetRef)),
    );
    const sets = [...this.#sets.values()].filter(
      (set): set is PermissionSet => set !== undefined && used.has(set.metadata.name),
    );
    return {
      sets: byName(sets),
      profiles: byName(profiles),
      notes: [...this.#notes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, note]) => note),
      bindings: this.#bindings.length,
      grants: this.#grants.length,
    };
  }

  #note(note: ImportNote): void {
    this.#notes.set([note.effect, note.reason, note.object, note.detail].join("\0"), note);
  }

  #binding(binding: RoleBindingObject): void {
    const { roleRef, subjects = [], metadata } = binding;
    const object = textOf(binding);
    const wanted = subjects.flatMap((subject) => this.#principal(subject, object, metadata.namespace) ?? []);
    if (wanted.length === 0) return;
    const home = roleRef.kind === "Role" ? (metadata.namespace ?? "") : "";
    const role = this.#roles.get(roleKey({ namespace: home, name: roleRef.name }));
    if (role === undefined)
      return this.#note({
        reason: "RoleMissing",
        effect: "ignored",
        object,
        detail: `${roleRef.kind} ${home === "" ? "" : `${home}/`}${roleRef.name} does not exist, so the binding grants nothing`,
        remedy: "delete the binding",
      });
    const namespaced = metadata.namespace !== undefined;
    const set = this.#set(role, namespaced, object);
    if (set === undefined) return;
    for (const principal of wanted)
      this.#grants.push({
        principal,
        set: set.metadata.name,
        scope: namespaced ? "namespaced" : "cluster",
        namespace: metadata.namespace ?? "",
      });
  }

  /** The principal of a subject, or a note why it has none. */
  #principal(subject: RbacSubject, object: string, home: string | undefined): string | undefined {
    const { kind, name } = subject;
    // A User may be an account under its full name.
    const named = kind === "User" ? parseServiceAccountUser(name) : undefined;
    if (named !== undefined) return this.#principal({ kind: "ServiceAccount", ...named }, object, home);
    const lost = (reason: ImportReason, effect: ImportNote["effect"], detail: string, remedy: string): undefined => {
      this.#note({ reason, effect, object, detail, remedy });
    };
    if (kind === "ServiceAccount") {
      const namespace = subject.namespace ?? home ?? "";
      if (namespace === "")
        return lost(
          "NamespacelessAccount",
          "ignored",
          `ServiceAccount ${name} has no namespace, so it is nobody`,
          "name its namespace, or take it out",
        );
      return SYSTEM_NAMESPACES.has(namespace)
        ? lost("SystemSubject", "ignored", `ServiceAccount ${namespace}/${name} is the control plane's own`, "")
        : serviceAccountUser(namespace, name);
    }
    if (name.startsWith("system:")) return lost("SystemSubject", "ignored", `${kind} ${name} is Kubernetes' own`, "");
    if (kind === "Group")
      return lost(
        "GroupSubject",
        "lost",
        `Group ${name}: a profile's principal is one identity, never a group`,
        "grant a principal and bind the group to it with an IdentityBinding (oidcConfig.groups or certificateConfig.matchOrganization)",
      );
    return name;
  }

  /** The PermissionSet of a role, made once; undefined when nothing of it can be granted. */
  #set(role: RoleObject, namespaced: boolean, binding: string): PermissionSet | undefined {
    const object = textOf(role);
    // The same ClusterRole bound in a namespace grants less: its paths are never asked there.
    const urlsDropped = namespaced && (role.rules ?? []).some((rule) => urlHalf(ruleOf(rule)) !== undefined);
    const key = `${object}${urlsDropped ? "\0namespaced" : ""}`;
    if (this.#sets.has(key)) return this.#sets.get(key);
    if ("aggregationRule" in role && role.aggregationRule !== undefined)
      this.#note({
        reason: "AggregatedRole",
        effect: "changed",
        object,
        detail: "its rules are gathered from other roles by label; the PermissionSet holds them as they are now",
        remedy: "import again when the gathered roles change",
      });
    const rules = this.#rules(role, namespaced, object);
    const set = rules.length === 0 ? undefined : this.#setOf(role, rules, urlsDropped);
    if (set === undefined)
      this.#note({
        reason: "NothingGranted",
        effect: "ignored",
        object: binding,
        detail: `${object} grants nothing here`,
        remedy: "delete the binding",
      });
    this.#sets.set(key, set);
    return set;
  }

  #rules(role: RoleObject, namespaced: boolean, object: string): readonly Rule[] {
    const kept: Rule[] = [];
    for (const [i, input] of (role.rules ?? []).entries()) {
      const rule = ruleOf(input);
      const halves = [resourceHalf(rule), urlHalf(rule)].filter((half) => half !== undefined);
      if (halves.length === 0)
        this.#note({
          reason: "InertRule",
          effect: "ignored",
          object,
          detail: `rules[${i}] lacks verbs, API groups or resources, so Kubernetes grants nothing by it`,
          remedy: "",
        });
      for (const half of halves) {
        if (half.nonResourceURLs.length > 0 && (namespaced || role.kind === "Role")) {
          this.#note({
            reason: "InertRule",
            effect: "ignored",
            object,
            detail: `rules[${i}] names paths, which a binding in a namespace never grants`,
            remedy: "",
          });
          continue;
        }
        const findings = validateRules([half], `rules[${i}]`);
        if (findings.length === 0) kept.push(half);
        else
          this.#note({
            reason: "RuleInvalid",
            effect: "lost",
            object,
            detail: findings
              .map((finding) => findingText({ ...finding, field: finding.field.replace("[0]", "") }))
              .join("; "),
            remedy: "correct the role and import again",
          });
      }
    }
    const canonical = canonicalRules(kept);
    const findings = canonical.length === 0 ? [] : validateRules(canonical, "rules");
    if (findings.length === 0) return canonical;
    this.#note({
      reason: "RuleInvalid",
      effect: "lost",
      object,
      detail: findings.map(findingText).join("; "),
      remedy: "split the role and import again",
    });
    return [];
  }

  #setOf(role: RoleObject, rules: readonly Rule[], urlsDropped: boolean): PermissionSet {
    const { namespace, name } = role.metadata;
    const variant = urlsDropped ? ":namespaced" : "";
    const identity = `${textOf(role)}${variant}`;
    // A namespace has no dot and other names with one are hashed, so no two roles share a name.
    const readable = namespace === undefined ? (name.includes(".") ? `${name}:` : name) : `${namespace}.${name}`;
    return {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "PermissionSet",
      metadata: this.#metadata(objectNameOf(`${readable}${variant}`, identity)),
      spec: {
        description: `Imported from ${textOf(role)} of ${this.#cluster}.`,
        permissions: rules.map((rule): PermissionRule => ({ verbs: rule.verbs, ...ruleToJson(rule) })),
      },
    };
  }

  #profiles(): readonly RBACProfile[] {
    const byPrincipal = new Map<string, Grant[]>();
    for (const grant of this.#grants) {
      const held = byPrincipal.get(grant.principal);
      if (held === undefined) byPrincipal.set(grant.principal, [grant]);
      else held.push(grant);
    }
    return [...byPrincipal].flatMap(([principalRef, grants]) => {
      const all = this.#declarations(grants);
      // One profile holds so many declarations; more of them are more profiles of the same principal.
      const pages = Array.from({ length: Math.ceil(all.length / MAX_DECLARATIONS) }, (_, page) =>
        all.slice(page * MAX_DECLARATIONS, (page + 1) * MAX_DECLARATIONS),
      );
      const account = parseServiceAccountUser(principalRef);
      // Names of people are hashed always: an account's name has a dot, and theirs none.
      const readable = account === undefined ? `${principalRef}:` : `${account.namespace}.${account.name}`;
      return pages.map((permissionDeclarations, page): RBACProfile => {
        const variant = page === 0 ? "" : `:${page + 1}`;
        return {
          apiVersion: "guardian.ontai.dev/v1alpha1",
          kind: "RBACProfile",
          metadata: this.#metadata(objectNameOf(`${readable}${variant}`, `${principalRef}${variant}`)),
          spec: {
            principalRef,
            targetClusters: [this.#cluster],
            rbacPolicyRef: PERMISSION_LAYERS.cluster.policy,
            permissionDeclarations,
          },
        };
      });
    });
  }

  /** One declaration per set and scope; of a set that is granted cluster-wide, namespaces add nothing. */
  #declarations(grants: readonly Grant[]): readonly PermissionDeclaration[] {
    const wide = new Set(grants.filter(({ scope }) => scope === "cluster").map(({ set }) => set));
    const places = new Map<string, Set<string>>();
    for (const { set, scope, namespace } of grants) {
      if (scope === "cluster" || wide.has(set)) continue;
      const held = places.get(set) ?? new Set<string>();
      places.set(set, held.add(namespace));
    }
    const declarations: PermissionDeclaration[] = [...wide].map((permissionSetRef) => ({
      permissionSetRef,
      scope: "cluster",
    }));
    for (const [permissionSetRef, found] of places) {
      const namespaces = [...found].sort();
      for (let at = 0; at < namespaces.length; at += MAX_NAMESPACES)
        declarations.push({
          permissionSetRef,
          scope: "namespaced",
          namespaces: namespaces.slice(at, at + MAX_NAMESPACES),
        });
    }
    return declarations.sort((a, b) => (declarationKey(a) < declarationKey(b) ? -1 : 1));
  }

  #metadata(name: string) {
    return {
      name,
      namespace: this.#namespace,
      labels: { [LABELS.policyType]: "component", [LABELS.rbacManagedBy]: IMPORTED },
    };
  }
}

/** Namespaces whose accounts belong to Kubernetes itself. */
const SYSTEM_NAMESPACES: ReadonlySet<string> = new Set(["kube-system", "kube-public", "kube-node-lease"]);

function declarationKey({ permissionSetRef, scope, namespaces = [] }: PermissionDeclaration): string {
  return `${permissionSetRef}\0${scope}\0${namespaces[0] ?? ""}`;
}

function roleKey({ namespace = "", name }: { readonly namespace?: string; readonly name: string }): string {
  return `${namespace}\0${name}`;
}

function textOf({ kind, metadata }: RoleObject | RoleBindingObject): string {
  return `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`;
}

function byName<T extends { readonly metadata: { readonly name: string } }>(objects: readonly T[]): readonly T[] {
  return [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** A name of our objects: the readable part when it is one already, else made legal, with a hash of what it stands for. */
function objectNameOf(readable: string, identity: string): string {
  if (readable.length <= MAX_OBJECT_NAME && SUBDOMAIN.test(readable) && !RESERVED.has(readable)) return readable;
  const legal = readable
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 200)
    .replaceAll(/-+$/g, "");
  return `${legal === "" ? "imported" : legal}-${sha256Hex(identity).slice(0, 8)}`;
}

/** Names of the layers: an imported role must never become a ceiling. */
const RESERVED: ReadonlySet<string> = new Set([PERMISSION_LAYERS.cluster.maximum, PERMISSION_LAYERS.fleet.maximum]);
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
