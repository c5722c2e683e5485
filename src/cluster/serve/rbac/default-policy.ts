import type { ClusterRoleBindingObject, ClusterRoleObject, PolicyRule } from "../../../api/builtin.ts";
import { MASTERS_GROUP } from "../authorizer.ts";

const RBAC = "rbac.authorization.k8s.io";
const API_VERSION = `${RBAC}/v1`;
/** Objects that say `true` here are repaired when the server starts; anything else leaves them to their owner. */
export const AUTOUPDATE_ANNOTATION = "rbac.authorization.kubernetes.io/autoupdate";
const BOOTSTRAPPING = { "kubernetes.io/bootstrapping": "rbac-defaults" };

const READ = ["get", "list", "watch"];
const WRITE = ["create", "delete", "deletecollection", "patch", "update"];
const READ_WRITE = [...WRITE, ...READ].sort();
const PUBLIC_PATHS = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

function on(verbs: readonly string[], apiGroups: string, resources: string): PolicyRule {
  return { verbs, apiGroups: apiGroups.split(","), resources: resources.split(" ") };
}

function paths(...nonResourceURLs: readonly string[]): PolicyRule {
  return { verbs: ["get"], nonResourceURLs };
}

/** What each of the aggregated roles `view`, `edit` and `admin` adds to the one before. */
const VIEW: readonly PolicyRule[] = [
  on(
    READ,
    "",
    "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
  ),
  on(
    READ,
    "",
    "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status",
  ),
  on(READ, "", "namespaces"),
  on(READ, ",events.k8s.io", "events"),
  on(READ, "discovery.k8s.io", "endpointslices"),
  on(
    READ,
    "apps",
    "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
  ),
  on(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
  on(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
  on(
    READ,
    "extensions",
    "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale",
  ),
  on(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
  on(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
  on(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
];

const EDIT: readonly PolicyRule[] = [
  on(READ, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
  on(["impersonate"], "", "serviceaccounts"),
  on(WRITE, "", "pods pods/attach pods/exec pods/portforward pods/proxy"),
  on(["create"], "", "pods/eviction"),
  on(
    WRITE,
    "",
    "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy",
  ),
  on(["create"], "", "serviceaccounts/token"),
  on(WRITE, ",events.k8s.io", "events"),
  on(
    WRITE,
    "apps",
    "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale",
  ),
  on(WRITE, "autoscaling", "horizontalpodautoscalers"),
  on(WRITE, "batch", "cronjobs jobs"),
  on(
    WRITE,
    "extensions",
    "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale",
  ),
  on(WRITE, "policy", "poddisruptionbudgets"),
  on(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
  on(READ_WRITE, "coordination.k8s.io", "leases"),
  on(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
];

const ADMIN: readonly PolicyRule[] = [
  on(["create"], "authorization.k8s.io", "localsubjectaccessreviews"),
  on(READ_WRITE, RBAC, "rolebindings roles"),
];

function role(
  name: string,
  rules: readonly PolicyRule[],
  more: { readonly aggregatesTo?: string; readonly aggregates?: string } = {},
): ClusterRoleObject {
  const label = (to: string): Record<string, string> => ({ [`rbac.authorization.k8s.io/aggregate-to-${to}`]: "true" });
  const { aggregatesTo, aggregates } = more;
  return {
    apiVersion: API_VERSION,
    kind: "ClusterRole",
    metadata: {
      name,
      labels: { ...BOOTSTRAPPING, ...(aggregatesTo === undefined ? {} : label(aggregatesTo)) },
      annotations: { [AUTOUPDATE_ANNOTATION]: "true" },
    },
    ...(aggregates === undefined
      ? { rules }
      : { aggregationRule: { clusterRoleSelectors: [{ matchLabels: label(aggregates) }] } }),
  };
}

/** The ClusterRoles for people that every Kubernetes cluster has; those of its own components are left out, for there are none. */
export const DEFAULT_CLUSTER_ROLES: readonly ClusterRoleObject[] = [
  role("cluster-admin", [on(["*"], "*", "*"), { verbs: ["*"], nonResourceURLs: ["*"] }]),
  role("admin", [], { aggregates: "admin" }),
  role("edit", [], { aggregates: "edit", aggregatesTo: "admin" }),
  role("view", [], { aggregates: "view", aggregatesTo: "edit" }),
  role("system:aggregate-to-admin", ADMIN, { aggregatesTo: "admin" }),
  role("system:aggregate-to-edit", EDIT, { aggregatesTo: "edit" }),
  role("system:aggregate-to-view", VIEW, { aggregatesTo: "view" }),
  role("system:basic-user", [
    on(["create"], "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    on(["create"], "authentication.k8s.io", "selfsubjectreviews"),
  ]),
  role("system:discovery", [
    paths(
      "/api",
      "/api/*",
      "/apis",
      "/apis/*",
      "/healthz",
      "/livez",
      "/openapi",
      "/openapi/*",
      "/readyz",
      "/version",
      "/version/",
    ),
  ]),
  role("system:monitoring", [
    paths(
      "/flagz",
      "/healthz",
      "/healthz/*",
      "/livez",
      "/livez/*",
      "/metrics",
      "/metrics/slis",
      "/readyz",
      "/readyz/*",
      "/statusz",
    ),
    on(["get"], "", "nodes/metrics"),
  ]),
  role("system:public-info-viewer", [paths(...PUBLIC_PATHS)]),
];

function bound(name: string, ...groups: readonly string[]): ClusterRoleBindingObject {
  return {
    apiVersion: API_VERSION,
    kind: "ClusterRoleBinding",
    metadata: { name, labels: BOOTSTRAPPING, annotations: { [AUTOUPDATE_ANNOTATION]: "true" } },
    roleRef: { apiGroup: RBAC, kind: "ClusterRole", name },
    subjects: groups.map((group) => ({ kind: "Group", apiGroup: RBAC, name: group })),
  };
}

/** Who has them from the start. */
export const DEFAULT_CLUSTER_ROLE_BINDINGS: readonly ClusterRoleBindingObject[] = [
  bound("cluster-admin", MASTERS_GROUP),
  bound("system:basic-user", "system:authenticated"),
  bound("system:discovery", "system:authenticated"),
  bound("system:monitoring", "system:monitoring"),
  bound("system:public-info-viewer", "system:authenticated", "system:unauthenticated"),
];
