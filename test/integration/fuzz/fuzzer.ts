import type { SeededRandom } from "../../../src/base/random.ts";
import type { JsonObject, JsonValue } from "../../../src/base/json.ts";

/** One request as it goes over the wire. */
export interface FuzzRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const NAMES = ["a", "b", "c", "x-1", "A", "..", "%00", "%2e%2e", "a%2fb", "kube-root-ca.crt", "ü", "x".repeat(300), ""];
const NAMESPACES = ["default", "kube-system", "fuzz", "missing", "A", "", "%ff"];
const RESOURCES = [
  "api/v1|configmaps|ConfigMap",
  "api/v1|secrets|Secret",
  "api/v1|pods|Pod",
  "api/v1|services|Service",
  "api/v1|serviceaccounts|ServiceAccount",
  "api/v1|events|Event",
  "apis/apps/v1|deployments|Deployment",
  "apis/batch/v1|jobs|Job",
  "apis/batch/v1|cronjobs|CronJob",
  "apis/rbac.authorization.k8s.io/v1|roles|Role",
  "apis/rbac.authorization.k8s.io/v1|rolebindings|RoleBinding",
  "apis/coordination.k8s.io/v1|leases|Lease",
  "apis/policy/v1|poddisruptionbudgets|PodDisruptionBudget",
  "apis/networking.k8s.io/v1|networkpolicies|NetworkPolicy",
  "apis/networking.k8s.io/v1|ingresses|Ingress",
  "apis/example.com/v1|widgets|Widget",
  "apis/example.com/v1|widgets|Widget",
  "apis/authorization.k8s.io/v1|localsubjectaccessreviews|LocalSubjectAccessReview",
];
const CLUSTER_RESOURCES = [
  "api/v1|namespaces|Namespace",
  "api/v1|nodes|Node",
  "apis/rbac.authorization.k8s.io/v1|clusterroles|ClusterRole",
  "apis/rbac.authorization.k8s.io/v1|clusterrolebindings|ClusterRoleBinding",
  "apis/apiextensions.k8s.io/v1|customresourcedefinitions|CustomResourceDefinition",
  "apis/admissionregistration.k8s.io/v1|validatingadmissionpolicies|ValidatingAdmissionPolicy",
  "apis/admissionregistration.k8s.io/v1|validatingwebhookconfigurations|ValidatingWebhookConfiguration",
  "apis/authentication.k8s.io/v1|tokenreviews|TokenReview",
  "apis/authentication.k8s.io/v1|selfsubjectreviews|SelfSubjectReview",
  "apis/authorization.k8s.io/v1|selfsubjectaccessreviews|SelfSubjectAccessReview",
  "apis/authorization.k8s.io/v1|subjectaccessreviews|SubjectAccessReview",
  "apis/authorization.k8s.io/v1|selfsubjectrulesreviews|SelfSubjectRulesReview",
];
const DOCUMENTS = [
  "/",
  "/version",
  "/healthz",
  "/readyz?verbose",
  "/livez/ping",
  "/metrics",
  "/api",
  "/apis",
  "/apis/apps",
  "/apis/example.com/v1",
  "/api/v1",
  "/openapi/v3",
  "/openapi/v3/apis/example.com/v1",
  "/openapi/v3/nothing",
  "/nowhere",
  "/api/v1/namespaces/default/pods/a/log?tailLines=1",
  "//api//v1//configmaps",
  "/apis/%zz/v1/x",
];
const SUBRESOURCES = ["status", "scale", "log", "token", "finalize", "exec", "binding", "eviction", "x"];
const ACCEPTS = [
  "application/json",
  "application/yaml",
  "*/*",
  "application/json;as=Table;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
  "application/vnd.kubernetes.protobuf",
  "text/html",
  ";;;,,q=9",
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
];
const CONTENT_TYPES = [
  "application/json",
  "application/json",
  "application/yaml",
  "application/merge-patch+json",
  "application/json-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
  "application/vnd.kubernetes.protobuf",
  "text/plain",
  "",
];
const QUERY: Readonly<Record<string, readonly string[]>> = {
  labelSelector: ["a=b", "a in (b", "!a", ",", "a=b=c", "=".repeat(2000), "a notin (x,y)", "(((((", "ü"],
  fieldSelector: ["metadata.name=a", "spec.x=1", "metadata.name!=", "=,=,=", "a\\", "status.phase=Running"],
  limit: ["1", "-1", "x", "99999999999", "0"],
  continue: ["x", "eyJ2IjoxLCJrIjoiYSJ9", "eyJ2IjotMSwiayI6e319", "AAAA", "eyJ2IjoxZTMwLCJrIjoiIn0"],
  resourceVersion: ["0", "1", "x", "-5", "999999999999", ""],
  resourceVersionMatch: ["Exact", "NotOlderThan", "x"],
  timeoutSeconds: ["1", "0", "x", "-1"],
  allowWatchBookmarks: ["true", "x"],
  sendInitialEvents: ["true", "false"],
  fieldManager: ["m", "x".repeat(200), "a\u0000b", ""],
  fieldValidation: ["Strict", "Warn", "Ignore", "x"],
  dryRun: ["All", "x", ""],
  force: ["true", "x"],
  pretty: ["true"],
  propagationPolicy: ["Foreground", "Orphan", "Background", "x"],
  gracePeriodSeconds: ["0", "-1", "x"],
  includeObject: ["None", "Object", "x"],
};
const HOSTILE_KEYS = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "a.b", "", "ü", "a/b"];
const TEXTS = ["", "a", "v1", "A b", "x".repeat(500), "\u0000", "💥", "../..", "true", "1", "2026-01-02T03:04:05Z"];

/** Makes requests: proper ones, proper ones that are then spoilt, and nonsense. The same seed makes the same. */
export class Fuzzer {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  request(): FuzzRequest {
    if (this.#chance(0.06))
      return { method: "GET", path: this.#of(DOCUMENTS), headers: this.#headers(), body: Buffer.alloc(0) };
    const clusterScoped = this.#chance(0.2);
    const [root = "", resource = "", kind = ""] = this.#of(clusterScoped ? CLUSTER_RESOURCES : RESOURCES).split("|");
    const namespace = this.#chance(0.85) ? "default" : this.#of(NAMESPACES);
    const name = this.#chance(0.7) ? this.#of(["a", "b", "c"]) : this.#of(NAMES);
    const method = this.#of(["GET", "GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE"] as const);
    const collection = method === "POST" ? this.#chance(0.95) : this.#chance(method === "GET" ? 0.4 : 0.05);
    const subresource = this.#chance(0.08) ? `/${this.#of(SUBRESOURCES)}` : "";
    const at = clusterScoped || this.#chance(0.03) ? resource : `namespaces/${namespace}/${resource}`;
    // Nothing that would delete what the other requests work on.
    const safe = method === "DELETE" && resource === "customresourcedefinitions" ? "zzz" : name;
    const path = `/${root}/${at}${collection ? "" : `/${safe}${subresource}`}${this.#query(method === "GET")}`;
    const group = root.replace(/^apis?\//, "");
    const body = method === "GET" ? Buffer.alloc(0) : this.#body(method, group, kind, name);
    const contentType =
      method === "PATCH" && this.#chance(0.8)
        ? this.#of(CONTENT_TYPES.slice(3, 7))
        : this.#chance(0.85)
          ? "application/json"
          : this.#of(CONTENT_TYPES);
    return {
      method,
      path,
      headers: { ...this.#headers(), ...(contentType === "" ? {} : { "content-type": contentType }) },
      body,
    };
  }

  #headers(): Record<string, string> {
    return {
      ...(this.#chance(0.3) ? { accept: this.#of(ACCEPTS) } : {}),
      ...(this.#chance(0.05) ? { "accept-encoding": this.#of(["gzip", "gzip;q=0", "br", "x"]) } : {}),
      ...(this.#chance(0.02) ? { "impersonate-user": this.#of(["eve", "", "system:serviceaccount:a:b"]) } : {}),
      ...(this.#chance(0.01) ? { "if-none-match": '"x"' } : {}),
    };
  }

  #query(reading: boolean): string {
    const parts: string[] = [];
    // Watches end by themselves within a second.
    if (reading && this.#chance(0.01)) parts.push("watch=1", "timeoutSeconds=1");
    while (this.#chance(0.3)) {
      const key = this.#of(Object.keys(QUERY));
      parts.push(`${key}=${encodeURIComponent(this.#of(QUERY[key] ?? [""]))}`);
    }
    if (this.#chance(0.02)) parts.push("%zz=%", "&&==", "=x");
    return parts.length === 0 ? "" : `?${parts.join("&")}`;
  }

  #body(method: string, groupVersion: string, kind: string, name: string): Buffer {
    if (this.#chance(0.04)) return this.#noise();
    let value: JsonValue =
      method === "PATCH" && this.#chance(0.3)
        ? this.#jsonPatch()
        : this.#object(groupVersion, kind, name, method === "PATCH");
    for (let times = 0; this.#chance(0.5) && times < 6; times++) value = this.#mutated(value, 0);
    const text = JSON.stringify(value) ?? "null";
    if (!this.#chance(0.04)) return Buffer.from(text);
    // Spoilt as bytes: cut, doubled, or with one byte changed.
    const bytes = Buffer.from(text);
    const at = this.#below(bytes.length);
    switch (this.#below(3)) {
      case 0:
        return bytes.subarray(0, at);
      case 1:
        return Buffer.concat([bytes, bytes.subarray(at)]);
      default:
        if (bytes.length > 0) bytes[at] = this.#below(256);
        return bytes;
    }
  }

  #noise(): Buffer {
    switch (this.#below(5)) {
      case 0:
        return Buffer.from(Array.from({ length: this.#below(200) }, () => this.#below(256)));
      case 1:
        return Buffer.from("[".repeat(this.#below(3000)));
      case 2:
        return Buffer.from('{"a":'.repeat(this.#below(2000)));
      case 3:
        return Buffer.from("a: &a [x]\nb: [*a, *a, *a]\n- : : :\n");
      default:
        return Buffer.concat([
          Buffer.from([0x6b, 0x38, 0x73, 0]),
          Buffer.from(Array.from({ length: 60 }, () => this.#below(256))),
        ]);
    }
  }

  #jsonPatch(): JsonValue {
    return Array.from({ length: this.#below(4) }, () => ({
      op: this.#of(["add", "remove", "replace", "move", "copy", "test", "x"]),
      path: this.#of([
        "/data/a",
        "/spec",
        "/metadata/labels/a",
        "",
        "/",
        "/spec/size",
        "/metadata/finalizers/-",
        "/a/b/c",
        "x",
        "/~2",
      ]),
      from: this.#of(["/data/a", "/spec", "", "/x"]),
      value: this.#value(0),
    }));
  }

  #object(groupVersion: string, kind: string, name: string, patch: boolean): JsonObject {
    const apiVersion = groupVersion === "v1" ? "v1" : groupVersion;
    const labels = { app: "a" };
    const container = { name: "c", image: "i:1" };
    const template = { metadata: { labels }, spec: { containers: [container] } };
    const bodies: Readonly<Record<string, JsonObject>> = {
      ConfigMap: { data: { a: "1" } },
      Secret: { stringData: { a: "1" } },
      Pod: { spec: { containers: [container] } },
      Service: { spec: { ports: [{ port: 80 }] } },
      Deployment: { spec: { selector: { matchLabels: labels }, template } },
      Job: { spec: { suspend: true, template: { spec: { containers: [container], restartPolicy: "Never" } } } },
      CronJob: { spec: { schedule: "* * * * *", suspend: true, jobTemplate: { spec: { template } } } },
      Role: { rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] },
      RoleBinding: { roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "a" }, subjects: [] },
      Lease: { spec: { holderIdentity: "h" } },
      Widget: { spec: { size: 1 } },
      ClusterRole: { rules: [] },
      CustomResourceDefinition: {
        spec: {
          group: "fuzz.example",
          scope: "Namespaced",
          names: { plural: name, kind: "Fuzz" },
          versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
        },
      },
      SubjectAccessReview: { spec: { user: "u", resourceAttributes: { verb: "get", resource: "pods" } } },
      SelfSubjectAccessReview: { spec: { resourceAttributes: { verb: "get", resource: "pods" } } },
      SelfSubjectRulesReview: { spec: { namespace: "default" } },
      TokenReview: { spec: { token: "x" } },
    };
    return {
      ...(patch && this.#chance(0.5) ? {} : { apiVersion, kind }),
      metadata: {
        name,
        ...(this.#chance(0.1) ? { generateName: "g-" } : {}),
        ...(this.#chance(0.1) ? { labels } : {}),
      },
      ...bodies[kind],
    };
  }

  /** The value with one thing changed somewhere in it. */
  #mutated(value: JsonValue, depth: number): JsonValue {
    if (depth > 6 || this.#chance(0.2)) return this.#value(depth);
    if (Array.isArray(value)) {
      const items = [...(value as readonly JsonValue[])];
      if (items.length === 0 || this.#chance(0.2)) return [...items, this.#value(depth + 1)];
      const at = this.#below(items.length);
      items[at] = this.#mutated(items[at] ?? null, depth + 1);
      return items;
    }
    if (typeof value === "object" && value !== null) {
      const members = new Map<string, JsonValue>();
      for (const [key, member] of Object.entries(value))
        if (member !== undefined) members.set(key, member as JsonValue);
      const keys = [...members.keys()];
      const key = keys.length > 0 && this.#chance(0.75) ? this.#of(keys) : this.#of(HOSTILE_KEYS);
      if (this.#chance(0.15)) members.delete(key);
      else members.set(key, this.#mutated(members.get(key) ?? null, depth + 1));
      // Own members also for `__proto__`, as JSON.parse makes them.
      return Object.fromEntries(members);
    }
    return this.#value(depth);
  }

  #value(depth: number): JsonValue {
    switch (this.#below(depth > 4 ? 6 : 9)) {
      case 0:
        return null;
      case 1:
        return this.#chance(0.5);
      case 2:
        return this.#of([0, -1, 1.5, 1e308, 2 ** 31, 2 ** 53, -0]);
      case 3:
      case 4:
      case 5:
        return this.#of(TEXTS);
      case 6:
        return Array.from({ length: this.#below(4) }, () => this.#value(depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: this.#below(4) }, () => [
            this.#of([...HOSTILE_KEYS, "name", "kind", "spec", "metadata", "a"]),
            this.#value(depth + 1),
          ]),
        );
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }

  #chance(share: number): boolean {
    return this.#random.next() < share;
  }

  #of<T>(values: readonly [T, ...T[]] | readonly T[]): T {
    const value = values[this.#below(values.length)];
    if (value === undefined) throw new Error("nothing to choose from");
    return value;
  }
}
