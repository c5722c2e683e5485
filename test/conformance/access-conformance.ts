import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ClusterRole,
  ClusterRoleBinding,
  Namespace,
  type PolicyRule,
  type RbacSubject,
  Role,
  RoleBinding,
  ServiceAccount,
} from "../../src/api/builtin.ts";
import { DEFAULT_CLUSTER_ROLE_BINDINGS, DEFAULT_CLUSTER_ROLES } from "../../src/cluster/serve/rbac/default-policy.ts";
import type { AccessAnswer, AccessTarget, Headers } from "./access-target.ts";

const RBAC = "rbac.authorization.k8s.io";
const AUTHORIZATION = "/apis/authorization.k8s.io/v1";
/** Authorizers follow what is stored with a short delay. */
const EFFECTIVE = { timeout: 10_000, interval: 25 };

/** Who may do what, the same for every server that `open` gives. */
export function accessConformance(server: string, open: () => Promise<AccessTarget>): void {
  describe(`access on ${server}`, () => {
    let target: AccessTarget;
    let counter = 0;
    beforeAll(async () => {
      target = await open();
    }, 120_000);
    afterAll(() => (target as AccessTarget | undefined)?.close(), 60_000);

    const user = (): string => `user-${++counter}`;
    const as = (name: string, ...groups: string[]): Headers => ({
      "impersonate-user": name,
      ...(groups.length === 0 ? {} : { "impersonate-group": groups }),
    });
    const get = (path: string, headers: Headers): Promise<AccessAnswer> => target.send("GET", path, headers);
    const namespace = async (): Promise<string> => {
      const draft = { apiVersion: "v1", kind: "Namespace", metadata: { generateName: "access-" } };
      return (await target.cluster.create(Namespace, draft)).metadata.name;
    };
    const named = (name: string) => ({ apiVersion: `${RBAC}/v1`, metadata: { name } });
    const person = (name: string): RbacSubject => ({ kind: "User", apiGroup: RBAC, name });
    const grantCluster = async (name: string, rules: readonly PolicyRule[], ...subjects: RbacSubject[]) => {
      await target.cluster.create(ClusterRole, { ...named(name), kind: "ClusterRole", rules });
      const roleRef = { apiGroup: RBAC, kind: "ClusterRole", name } as const;
      await target.cluster.create(ClusterRoleBinding, {
        ...named(name),
        kind: "ClusterRoleBinding",
        roleRef,
        subjects,
      });
    };
    const grant = async (at: string, name: string, rules: readonly PolicyRule[], ...subjects: RbacSubject[]) => {
      const metadata = { name, namespace: at };
      const roleRef = { apiGroup: RBAC, kind: "Role", name } as const;
      const apiVersion = `${RBAC}/v1`;
      await target.cluster.create(Role, { apiVersion, kind: "Role", metadata, rules });
      await target.cluster.create(RoleBinding, { apiVersion, kind: "RoleBinding", metadata, roleRef, subjects });
    };
    const review = async (spec: object, headers: Headers = {}): Promise<AccessAnswer> =>
      target.send("POST", `${AUTHORIZATION}/subjectaccessreviews`, headers, {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec,
      });
    const status = async (spec: object): Promise<unknown> => (await review(spec)).body;

    it("denies by default, in these words", async () => {
      const name = user();
      expect(await get("/api/v1/namespaces/default/pods", as(name))).toMatchObject({
        status: 403,
        body: {
          kind: "Status",
          status: "Failure",
          reason: "Forbidden",
          details: { kind: "pods" },
          message: `pods is forbidden: User "${name}" cannot list resource "pods" in API group "" in the namespace "default"`,
        },
      });
      expect(await get("/apis/apps/v1/namespaces/default/deployments/a/scale", as(name))).toMatchObject({
        status: 403,
        body: {
          details: { name: "a", group: "apps", kind: "deployments" },
          message: `deployments.apps "a" is forbidden: User "${name}" cannot get resource "deployments/scale" in API group "apps" in the namespace "default"`,
        },
      });
      expect(await get("/metrics", as(name))).toMatchObject({
        status: 403,
        body: { message: `forbidden: User "${name}" cannot get path "/metrics"` },
      });
    });

    it("lets everybody discover and ask about himself", async () => {
      const name = user();
      // The default policy appears some moments after the server began to answer.
      await expect.poll(async () => (await get("/apis", as(name))).status, EFFECTIVE).toBe(200);
      await expect.poll(async () => (await get("/version", as("system:anonymous"))).status, EFFECTIVE).toBe(200);
      expect(await get("/apis", as("system:anonymous"))).toMatchObject({ status: 403 });
      const self = await target.send("POST", `${AUTHORIZATION}/selfsubjectaccessreviews`, as(name), {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: { resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } },
      });
      expect(self).toMatchObject({ status: 201, body: { status: { allowed: false } } });
    });

    it("gives what a Role of the namespace gives, there and nowhere else", async () => {
      const [at, name] = [await namespace(), user()];
      await grant(at, "reader", [{ verbs: ["list"], apiGroups: [""], resources: ["configmaps"] }], person(name));
      await expect
        .poll(async () => (await get(`/api/v1/namespaces/${at}/configmaps`, as(name))).status, EFFECTIVE)
        .toBe(200);
      expect(await get("/api/v1/namespaces/default/configmaps", as(name))).toMatchObject({ status: 403 });
      expect(await get("/api/v1/configmaps", as(name))).toMatchObject({ status: 403 });
      expect(await get(`/api/v1/namespaces/${at}/secrets`, as(name))).toMatchObject({ status: 403 });
      expect(await get(`/api/v1/namespaces/${at}/configmaps/a`, as(name))).toMatchObject({ status: 403 });
      expect(await get(`/api/v1/namespaces/${at}/configmaps?watch=true`, as(name))).toMatchObject({ status: 403 });
    });

    it("knows names, subresources and their wildcards", async () => {
      const name = user();
      await grantCluster(
        `names-${name}`,
        [
          { verbs: ["get"], apiGroups: [""], resources: ["configmaps"], resourceNames: ["one"] },
          { verbs: ["get"], apiGroups: ["*"], resources: ["*/scale"] },
        ],
        person(name),
      );
      await expect
        .poll(async () => (await get("/api/v1/namespaces/default/configmaps/one", as(name))).status, EFFECTIVE)
        .toBe(404);
      expect(await get("/api/v1/namespaces/default/configmaps/two", as(name))).toMatchObject({ status: 403 });
      expect(await get("/api/v1/namespaces/default/configmaps", as(name))).toMatchObject({ status: 403 });
      expect(await get("/apis/apps/v1/namespaces/default/deployments/a/scale", as(name))).toMatchObject({
        status: 404,
      });
      expect(await get("/apis/apps/v1/namespaces/default/deployments/a", as(name))).toMatchObject({ status: 403 });
    });

    it("matches paths exactly and by trailing star", async () => {
      const name = user();
      const nonResourceURLs = ["/logs", "/metrics*"];
      await grantCluster(`paths-${name}`, [{ verbs: ["get"], nonResourceURLs }], person(name));
      const ask = (path: string) => status({ user: name, nonResourceAttributes: { verb: "get", path } });
      await expect.poll(() => ask("/metrics/slis"), EFFECTIVE).toMatchObject({ status: { allowed: true } });
      expect(await ask("/logs")).toMatchObject({ status: { allowed: true } });
      expect(await ask("/logs/a")).toMatchObject({ status: { allowed: false } });
    });

    it("says which binding allows, for users, groups and ServiceAccounts", async () => {
      const [at, name, group] = [await namespace(), user(), `group-${user()}`];
      const rules = [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }];
      await grantCluster(`all-${name}`, rules, { kind: "Group", apiGroup: RBAC, name: group });
      await grant(at, "some", rules, person(name), { kind: "ServiceAccount", name: "robot", namespace: at });
      const resourceAttributes = { verb: "get", resource: "pods", namespace: at };
      await expect
        .poll(() => status({ user: name, resourceAttributes }), EFFECTIVE)
        .toMatchObject({
          status: {
            allowed: true,
            reason: `RBAC: allowed by RoleBinding "some/${at}" of Role "some" to User "${name}"`,
          },
        });
      await expect
        .poll(() => status({ user: "x", groups: [group], resourceAttributes }), EFFECTIVE)
        .toMatchObject({
          status: {
            allowed: true,
            reason: `RBAC: allowed by ClusterRoleBinding "all-${name}" of ClusterRole "all-${name}" to Group "${group}"`,
          },
        });
      expect(await status({ user: `system:serviceaccount:${at}:robot`, resourceAttributes })).toMatchObject({
        status: {
          allowed: true,
          reason: `RBAC: allowed by RoleBinding "some/${at}" of Role "some" to ServiceAccount "robot/${at}"`,
        },
      });
      expect(await status({ user: `system:serviceaccount:default:robot`, resourceAttributes })).toMatchObject({
        status: { allowed: false },
      });
      expect(await status({ user: "x", groups: ["system:masters"], resourceAttributes })).toMatchObject({
        status: { allowed: true },
      });
    });

    it("tells of a role that does not exist", async () => {
      const name = user();
      const roleRef = { apiGroup: RBAC, kind: "ClusterRole", name: "gone" } as const;
      const subjects = [person(name)];
      await target.cluster.create(ClusterRoleBinding, {
        ...named(`gone-${name}`),
        kind: "ClusterRoleBinding",
        roleRef,
        subjects,
      });
      const message = `pods is forbidden: User "${name}" cannot list resource "pods" in API group "" in the namespace "default": RBAC: clusterrole.${RBAC} "gone" not found`;
      await expect
        .poll(() => get("/api/v1/namespaces/default/pods", as(name)), EFFECTIVE)
        .toMatchObject({ status: 403, body: { message } });
    });

    it("follows changes of roles and the removal of bindings", async () => {
      const name = user();
      await grantCluster(`brief-${name}`, [{ verbs: ["list"], apiGroups: [""], resources: ["nodes"] }], person(name));
      const nodes = async (): Promise<number> => (await get("/api/v1/nodes", as(name))).status;
      await expect.poll(nodes, EFFECTIVE).toBe(200);
      const role = await target.cluster.get(ClusterRole, { name: `brief-${name}` });
      const wider = [...(role.rules ?? []), { verbs: ["list"], apiGroups: [""], resources: ["pods"] }];
      await target.cluster.update(ClusterRole, { ...role, rules: wider });
      await expect.poll(async () => (await get("/api/v1/pods", as(name))).status, EFFECTIVE).toBe(200);
      await target.cluster.delete(ClusterRoleBinding, { name: `brief-${name}` });
      await expect.poll(nodes, EFFECTIVE).toBe(403);
    });

    it("lists the rules of a user", async () => {
      const [at, name] = [await namespace(), user()];
      await grant(
        at,
        "own",
        [{ verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: ["a"] }],
        person(name),
      );
      const rules = async (spec: object): Promise<AccessAnswer> =>
        target.send("POST", `${AUTHORIZATION}/selfsubjectrulesreviews`, as(name), {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SelfSubjectRulesReview",
          spec,
        });
      await expect
        .poll(() => rules({ namespace: at }), EFFECTIVE)
        .toMatchObject({
          status: 201,
          body: {
            status: {
              incomplete: false,
              resourceRules: expect.arrayContaining([
                { verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: ["a"] },
                { verbs: ["create"], apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"] },
              ]),
              nonResourceRules: expect.arrayContaining([
                { verbs: ["get"], nonResourceURLs: ["/healthz", "/livez", "/readyz", "/version", "/version/"] },
              ]),
            },
          },
        });
      expect(await rules({})).toMatchObject({ status: 400, body: { message: "no namespace on request" } });
    });

    it("refuses reviews without a clear question", async () => {
      const resourceAttributes = { verb: "get", resource: "pods", namespace: "default" };
      expect(await review({ resourceAttributes })).toMatchObject({
        status: 422,
        body: {
          reason: "Invalid",
          message:
            '.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least one of user or group must be specified',
          details: { group: "authorization.k8s.io" },
        },
      });
      expect(await review({ user: "x" })).toMatchObject({
        status: 422,
        body: { details: { causes: [{ reason: "FieldValueInvalid", field: "spec.resourceAttributes" }] } },
      });
      const local = await target.send(
        "POST",
        `${AUTHORIZATION}/namespaces/default/localsubjectaccessreviews`,
        {},
        {
          apiVersion: "authorization.k8s.io/v1",
          kind: "LocalSubjectAccessReview",
          metadata: { namespace: "default" },
          spec: { user: "x", resourceAttributes: { ...resourceAttributes, namespace: "other" } },
        },
      );
      expect(local).toMatchObject({
        status: 422,
        body: { details: { causes: [{ field: "spec.resourceAttributes.namespace" }] } },
      });
    });

    it("lets only those act as others who may", async () => {
      const name = user();
      const whoami = (headers: Headers): Promise<AccessAnswer> =>
        target.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", headers, {
          apiVersion: "authentication.k8s.io/v1",
          kind: "SelfSubjectReview",
        });
      expect(
        await whoami({ ...as(name, "a", "b"), "impersonate-uid": "u1", "impersonate-extra-Reason": "test" }),
      ).toMatchObject({
        status: 201,
        body: {
          status: {
            userInfo: {
              username: name,
              uid: "u1",
              groups: ["a", "b", "system:authenticated"],
              extra: { reason: ["test"] },
            },
          },
        },
      });
      expect(await whoami(as("system:serviceaccount:default:robot"))).toMatchObject({
        body: {
          status: {
            userInfo: {
              groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
            },
          },
        },
      });
      expect(await whoami({ "impersonate-group": "a" })).toMatchObject({ status: 400, body: { reason: "BadRequest" } });
      expect(await target.sendAnonymously("GET", "/api", as(name))).toMatchObject({
        status: 403,
        body: { reason: "Forbidden" },
      });
    });

    it("lets nobody give away what he does not have", async () => {
      const [at, name] = [await namespace(), user()];
      const pods: PolicyRule = { verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "pods/log"] };
      const roles: PolicyRule = { verbs: ["create", "patch"], apiGroups: [RBAC], resources: ["roles", "rolebindings"] };
      await grant(at, "manager", [pods, roles], person(name));
      const path = `/apis/${RBAC}/v1/namespaces/${at}`;
      const write = async (kind: string, object: string, rest: object): Promise<AccessAnswer> =>
        target.send("POST", `${path}/${kind.toLowerCase()}s`, as(name), {
          apiVersion: `${RBAC}/v1`,
          kind,
          metadata: { name: object, namespace: at },
          ...rest,
        });
      const role = (object: string, ...rules: PolicyRule[]) => write("Role", object, { rules });
      const bind = (object: string, kind: string, to: string) =>
        write("RoleBinding", object, { roleRef: { apiGroup: RBAC, kind, name: to }, subjects: [person("other")] });
      await expect.poll(async () => (await role("own", pods)).status, EFFECTIVE).toBe(201);
      const wider: PolicyRule = { verbs: ["get", "delete"], apiGroups: ["", "apps"], resources: ["pods"] };
      const lacking = (object: string, what: string): string =>
        `${object} is forbidden: user "${name}" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n${what}`;
      const lines = `{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "delete"]}`;
      expect(await role("wide", wider)).toMatchObject({
        status: 403,
        body: {
          reason: "Forbidden",
          details: { name: "wide", group: RBAC, kind: "roles" },
          message: lacking(`roles.${RBAC} "wide"`, lines),
        },
      });
      const patch = await target.send(
        "PATCH",
        `${path}/roles/own`,
        { ...as(name), "content-type": "application/merge-patch+json" },
        { rules: [wider] },
      );
      expect(patch).toMatchObject({ status: 403, body: { message: lacking(`roles.${RBAC} "own"`, lines) } });
      expect(await bind("mine", "Role", "own")).toMatchObject({ status: 201 });
      expect(await bind("all", "ClusterRole", "cluster-admin")).toMatchObject({
        status: 403,
        body: {
          message: lacking(
            `rolebindings.${RBAC} "all"`,
            `{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}`,
          ),
        },
      });
      expect(await bind("none", "Role", "gone")).toMatchObject({
        status: 404,
        body: {
          message: `rolebindings.${RBAC} "gone" not found`,
          details: { name: "gone", group: RBAC, kind: "rolebindings" },
        },
      });
      const more: PolicyRule[] = [
        { verbs: ["bind"], apiGroups: [RBAC], resources: ["clusterroles"], resourceNames: ["view"] },
        { verbs: ["escalate"], apiGroups: [RBAC], resources: ["roles"], resourceNames: ["own"] },
      ];
      await grant(at, "more", more, person(name));
      await expect.poll(async () => (await bind("viewers", "ClusterRole", "view")).status, EFFECTIVE).toBe(201);
      const escalated = await target.send(
        "PATCH",
        `${path}/roles/own`,
        { ...as(name), "content-type": "application/merge-patch+json" },
        { rules: [wider] },
      );
      expect(escalated).toMatchObject({ status: 200 });
    });

    it("keeps the role of a binding", async () => {
      const at = await namespace();
      await grant(at, "fixed", [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }], person(user()));
      const binding = await target.cluster.get(RoleBinding, { namespace: at, name: "fixed" });
      const roleRef = { ...binding.roleRef, name: "other" };
      await expect(target.cluster.update(RoleBinding, { ...binding, roleRef })).rejects.toMatchObject({
        code: 422,
        details: { causes: [{ reason: "FieldValueInvalid", field: "roleRef" }] },
      });
    });

    it("gives tokens to ServiceAccounts and knows their bearers", async () => {
      const at = await namespace();
      const metadata = { name: "robot", namespace: at };
      const account = await target.cluster.create(ServiceAccount, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata,
      });
      const kind = "TokenRequest";
      const request = (spec: object, name = "robot", headers: Headers = {}): Promise<AccessAnswer> =>
        target.send("POST", `/api/v1/namespaces/${at}/serviceaccounts/${name}/token`, headers, {
          apiVersion: "authentication.k8s.io/v1",
          kind,
          spec,
        });
      const tokenOf = async (spec: object): Promise<string> =>
        ((await request(spec)).body as { status: { token: string } }).status.token;
      expect(await request({ expirationSeconds: 900 })).toMatchObject({
        status: 201,
        body: {
          kind,
          metadata: { ...metadata, uid: account.metadata.uid },
          spec: { audiences: ["https://kubernetes.default.svc"], expirationSeconds: 900 },
          status: { token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/), expirationTimestamp: expect.any(String) },
        },
      });
      expect(await request({ expirationSeconds: 599 })).toMatchObject({
        status: 422,
        body: {
          message:
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
        },
      });
      expect(await request({}, "gone")).toMatchObject({
        status: 404,
        body: { message: 'serviceaccounts "gone" not found' },
      });
      expect(await request({}, "robot", as(user()))).toMatchObject({ status: 403 });

      const token = await tokenOf({});
      const bearer: Headers = { authorization: `Bearer ${token}` };
      const info = {
        username: `system:serviceaccount:${at}:robot`,
        uid: account.metadata.uid,
        groups: ["system:serviceaccounts", `system:serviceaccounts:${at}`, "system:authenticated"],
      };
      const whoami = (headers: Headers): Promise<AccessAnswer> =>
        target.sendAnonymously("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", headers, {
          apiVersion: "authentication.k8s.io/v1",
          kind: "SelfSubjectReview",
        });
      expect(await whoami(bearer)).toMatchObject({ status: 201, body: { status: { userInfo: info } } });
      const forged = `${token.slice(0, -6)}${token.endsWith("AAAAAA") ? "BBBBBB" : "AAAAAA"}`;
      expect(await whoami({ authorization: `Bearer ${forged}` })).toMatchObject({ status: 401 });
      const tokenReview = async (spec: object): Promise<AccessAnswer> =>
        target.send(
          "POST",
          "/apis/authentication.k8s.io/v1/tokenreviews",
          {},
          {
            apiVersion: "authentication.k8s.io/v1",
            kind: "TokenReview",
            spec,
          },
        );
      expect(await tokenReview({ token })).toMatchObject({
        status: 201,
        body: { status: { authenticated: true, user: info, audiences: ["https://kubernetes.default.svc"] } },
      });
      const vault = await tokenOf({ audiences: ["vault"] });
      expect(await tokenReview({ token: vault, audiences: ["vault", "other"] })).toMatchObject({
        body: { status: { authenticated: true, audiences: ["vault"] } },
      });
      const elsewhere = await tokenReview({ token: vault });
      expect(elsewhere).toMatchObject({ status: 201, body: { status: { user: {}, error: expect.any(String) } } });
      expect(elsewhere).not.toHaveProperty("body.status.authenticated");
      expect(await whoami({ authorization: `Bearer ${vault}` })).toMatchObject({ status: 401 });
      expect(await tokenReview({})).toMatchObject({ status: 400 });

      await grant(at, "robots", [{ verbs: ["list"], apiGroups: [""], resources: ["pods"] }], {
        kind: "ServiceAccount",
        ...metadata,
      });
      const pods = async (): Promise<number> =>
        (await target.sendAnonymously("GET", `/api/v1/namespaces/${at}/pods`, bearer)).status;
      await expect.poll(pods, EFFECTIVE).toBe(200);
      await target.cluster.delete(ServiceAccount, metadata);
      await expect.poll(pods, { timeout: 30_000, interval: 100 }).toBe(401);
    }, 60_000);

    it("starts with the default roles and bindings of Kubernetes", async () => {
      for (const { metadata, rules, aggregationRule } of DEFAULT_CLUSTER_ROLES) {
        const stored = await target.cluster.get(ClusterRole, { name: metadata.name });
        expect(stored).toMatchObject({
          metadata,
          ...(aggregationRule === undefined ? { rules } : { aggregationRule }),
        });
      }
      for (const { metadata, roleRef, subjects } of DEFAULT_CLUSTER_ROLE_BINDINGS) {
        const stored = await target.cluster.get(ClusterRoleBinding, { name: metadata.name });
        expect(stored).toMatchObject({ metadata, roleRef, subjects });
      }
    });

    it("aggregates ClusterRoles by label, where the controller runs", async (context) => {
      if (!target.controllers) context.skip();
      const name = user();
      const rule = { verbs: ["get"], apiGroups: ["example.com"], resources: ["widgets"] };
      await target.cluster.create(ClusterRole, {
        ...named(`widgets-${name}`),
        metadata: { name: `widgets-${name}`, labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" } },
        kind: "ClusterRole",
        rules: [rule],
      });
      const rulesOf = async (role: string) => (await target.cluster.get(ClusterRole, { name: role })).rules;
      for (const role of ["view", "edit", "admin"])
        await expect.poll(() => rulesOf(role), EFFECTIVE).toContainEqual(rule);
      await target.cluster.delete(ClusterRole, { name: `widgets-${name}` });
      await expect.poll(() => rulesOf("admin"), EFFECTIVE).not.toContainEqual(rule);
    });
  });
}
