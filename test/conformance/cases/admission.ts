import { afterAll, beforeAll, expect, it } from "vitest";
import { ConfigMap, CustomResourceDefinition, Namespace, Secret } from "../../../src/api/builtin.ts";
import type { ResourceType } from "../../../src/api/resource-type.ts";
import type { JsonObject } from "../../../src/base/json.ts";
import { ApiStatusError } from "../../../src/cluster/api-status-error.ts";
import { type Harness, refusal, widget } from "../harness.ts";
import { startWebhookServer, type WebhookServer } from "../webhook-server.ts";

const GROUP = "admissionregistration.k8s.io";
const kind = (resource: string, name: string): ResourceType => ({
  group: GROUP,
  version: "v1",
  resource,
  kind: name,
  namespaced: false,
});
const Policy = kind("validatingadmissionpolicies", "ValidatingAdmissionPolicy");
const Binding = kind("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding");
const Webhooks = kind("validatingwebhookconfigurations", "ValidatingWebhookConfiguration");

const CONFIG_MAPS = {
  apiGroups: [""],
  apiVersions: ["v1"],
  operations: ["CREATE", "UPDATE"],
  resources: ["configmaps"],
};
const WITHIN_ATTEMPTS = 200;

export function admissionCases(h: Harness): void {
  let counter = 0;
  const apiVersion = `${GROUP}/v1`;
  const configMap = (
    namespace: string,
    name: string,
    data: Record<string, string> = {},
    labels?: Record<string, string>,
  ) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, ...(labels ? { labels } : {}) },
    data,
  });
  const only = (namespace: string) => ({ matchLabels: { "kubernetes.io/metadata.name": namespace } });

  /** A policy with a binding for one namespace; resolves when `probe`, a write that it refuses, is refused. */
  const policy = async (
    namespace: string,
    spec: JsonObject,
    probe: () => Promise<unknown>,
    binding: JsonObject = {},
  ): Promise<string> => {
    const name = `policy-${namespace}-${counter++}`;
    await h.cluster().create(Policy, {
      apiVersion,
      kind: "ValidatingAdmissionPolicy",
      metadata: { name },
      spec: { matchConstraints: { resourceRules: [CONFIG_MAPS] }, ...spec },
    });
    await h.cluster().create(Binding, {
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: `b-${name}` },
      spec: {
        policyName: name,
        validationActions: ["Deny"],
        matchResources: { namespaceSelector: only(namespace) },
        ...binding,
      },
    });
    await untilRefused(probe);
    return name;
  };
  /** A real API server takes new policies and webhooks into account some moments after it accepted them. */
  const untilRefused = async (probe: () => Promise<unknown>): Promise<void> => {
    for (let attempt = 0; attempt < WITHIN_ATTEMPTS; attempt++) {
      try {
        await probe();
      } catch (error) {
        if (error instanceof ApiStatusError) return;
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("the write is never refused");
  };
  const dryRun = { dryRun: true } as const;
  const probing =
    (namespace: string, data: Record<string, string> = { n: "9" }) =>
    () =>
      h.cluster().create(ConfigMap, configMap(namespace, "probe", data), dryRun);

  it("refuses by policy with its message, reason and cause", async () => {
    const namespace = await h.namespace();
    const name = await policy(
      namespace,
      {
        variables: [{ name: "n", expression: "has(object.data) && 'n' in object.data ? int(object.data.n) : 0" }],
        validations: [
          { expression: "variables.n < 5", message: "too large" },
          { expression: "variables.n != 3", messageExpression: "'never ' + string(variables.n)", reason: "Forbidden" },
          { expression: "variables.n != 4" },
        ],
      },
      probing(namespace),
    );
    const create = (n: string) => h.cluster().create(ConfigMap, configMap(namespace, `c-${n}`, { n }));
    const who = `ValidatingAdmissionPolicy '${name}' with binding 'b-${name}' denied request`;
    const large = await refusal(create("7"));
    expect([large.code, large.reason]).toEqual([422, "Invalid"]);
    expect(large.message).toBe(`configmaps "c-7" is forbidden: ${who}: too large`);
    expect(large.details.causes).toEqual([{ message: `${who}: too large` }]);
    const never = await refusal(create("3"));
    expect([never.code, never.reason, never.message]).toEqual([
      403,
      "Forbidden",
      `configmaps "c-3" is forbidden: ${who}: never 3`,
    ]);
    expect((await refusal(create("4"))).message).toBe(
      `configmaps "c-4" is forbidden: ${who}: failed expression: variables.n != 4`,
    );
    const failed = await refusal(create("x"));
    expect([failed.code, failed.message]).toEqual([
      422,
      `configmaps "c-x" is forbidden: ${who}: expression 'variables.n < 5' resulted in error: composited variable "n" fails to evaluate: type conversion error from 'string' to 'int'`,
    ]);
    expect((await create("1")).data).toEqual({ n: "1" });
    const patched = h
      .cluster()
      .patch(ConfigMap, { namespace, name: "c-1" }, { type: "merge", body: { data: { n: "8" } } });
    expect((await refusal(patched)).message).toContain("too large");
  });

  it("lets through what a policy with failurePolicy Ignore cannot evaluate", async () => {
    const namespace = await h.namespace();
    await policy(
      namespace,
      { failurePolicy: "Ignore", validations: [{ expression: "int(object.data.n) < 5" }] },
      probing(namespace),
    );
    await h.cluster().create(ConfigMap, configMap(namespace, "a", { n: "x" }));
  });

  it("warns when a binding says so", async () => {
    const namespace = await h.namespace();
    const name = await policy(
      namespace,
      { validations: [{ expression: "!has(object.data)", message: "no data here" }] },
      probing(namespace),
    );
    await h
      .cluster()
      .patch(Binding, { name: `b-${name}` }, { type: "merge", body: { spec: { validationActions: ["Warn"] } } });
    for (let attempt = 0; ; attempt++) {
      const warnings: string[] = [];
      try {
        await h
          .cluster()
          .create(ConfigMap, configMap(namespace, "a", { n: "1" }), { onWarning: (warning) => warnings.push(warning) });
        expect(warnings).toEqual([
          `Validation failed for ValidatingAdmissionPolicy '${name}' with binding 'b-${name}': no data here`,
        ]);
        break;
      } catch (error) {
        if (!(error instanceof ApiStatusError) || attempt > WITHIN_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  });

  it("applies by match conditions, object selector and excluded rules", async () => {
    const namespace = await h.namespace();
    await policy(
      namespace,
      {
        matchConstraints: {
          resourceRules: [
            { apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*"], scope: "Namespaced" },
          ],
          excludeResourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["*"], resources: ["secrets"] }],
          objectSelector: { matchExpressions: [{ key: "free", operator: "DoesNotExist" }] },
        },
        matchConditions: [{ name: "not-z", expression: "request.name != 'z'" }],
        validations: [{ expression: "false", message: "nothing goes" }],
      },
      probing(namespace),
    );
    expect((await refusal(h.cluster().create(ConfigMap, configMap(namespace, "a")))).message).toContain("nothing goes");
    await h.cluster().create(ConfigMap, configMap(namespace, "z"));
    await h.cluster().create(ConfigMap, configMap(namespace, "b", {}, { free: "yes" }));
    await h.cluster().create(Secret, { apiVersion: "v1", kind: "Secret", metadata: { name: "s", namespace } });
    await h.cluster().delete(ConfigMap, { namespace, name: "b" });
  });

  it("sees who asks for what, the namespace and the old object", async () => {
    const namespace = await h.namespace();
    await h
      .cluster()
      .patch(Namespace, { name: namespace }, { type: "merge", body: { metadata: { labels: { team: "red" } } } });
    await policy(
      namespace,
      {
        matchConstraints: { resourceRules: [{ ...CONFIG_MAPS, operations: ["*"] }] },
        validations: [
          {
            expression:
              "request.operation != 'CREATE' || (oldObject == null && namespaceObject.metadata.labels.team == 'red' && request.namespace == object.metadata.namespace && request.kind.kind == 'ConfigMap' && 'system:masters' in request.userInfo.groups)",
          },
          { expression: "request.operation != 'CREATE' || !has(object.data) || object.data.?n.orValue('') != '9'" },
          { expression: "request.operation != 'UPDATE' || oldObject.data.n != '2'", message: "two stays" },
          {
            expression: "request.operation != 'DELETE' || (object == null && oldObject.data.n != '2')",
            message: "two remains",
          },
        ],
      },
      probing(namespace),
    );
    await h.cluster().create(ConfigMap, configMap(namespace, "a", { n: "1" }));
    await h.cluster().update(ConfigMap, configMap(namespace, "a", { n: "2" }));
    expect((await refusal(h.cluster().update(ConfigMap, configMap(namespace, "a", { n: "3" })))).message).toContain(
      "two stays",
    );
    expect((await refusal(h.cluster().delete(ConfigMap, { namespace, name: "a" }))).message).toContain("two remains");
    await h.cluster().get(ConfigMap, { namespace, name: "a" });
  });

  it("takes parameters from the object a binding names, and says when there is none", async () => {
    const namespace = await h.namespace();
    await h.cluster().create(ConfigMap, configMap(namespace, "limits", { max: "4" }, { role: "limits" }));
    await policy(
      namespace,
      {
        paramKind: { apiVersion: "v1", kind: "ConfigMap" },
        validations: [
          {
            expression: "!('n' in object.data) || int(object.data.n) <= int(params.data.max)",
            messageExpression: "'at most ' + params.data.max",
          },
        ],
      },
      probing(namespace),
      { paramRef: { name: "limits", parameterNotFoundAction: "Deny" } },
    );
    expect((await refusal(h.cluster().create(ConfigMap, configMap(namespace, "a", { n: "5" })))).message).toMatch(
      /: at most 4$/,
    );
    await h.cluster().create(ConfigMap, configMap(namespace, "a", { n: "4" }));
    const other = await h.namespace();
    const deny = await policy(
      other,
      { paramKind: { apiVersion: "v1", kind: "ConfigMap" }, validations: [{ expression: "true" }] },
      probing(other),
      { paramRef: { selector: { matchLabels: { role: "limits" } }, parameterNotFoundAction: "Deny" } },
    );
    expect((await refusal(probing(other)())).message).toBe(
      `configmaps "probe" is forbidden: ValidatingAdmissionPolicy '${deny}' with binding 'b-${deny}' denied request: failed to configure binding: no params found for policy binding with \`Deny\` parameterNotFoundAction`,
    );
  });

  it("applies to all versions of a kind when one matches", async () => {
    const type = await h.customResource({ spec: { type: "object", properties: { n: { type: "integer" } } } });
    const crdName = `widgets.${type.group}`;
    const crd = await h.cluster().get(CustomResourceDefinition, { name: crdName });
    const [v1] = crd.spec.versions;
    if (!v1) throw new Error("no version");
    await h.cluster().update(CustomResourceDefinition, {
      ...crd,
      spec: { ...crd.spec, versions: [v1, { ...v1, name: "v2", storage: false }] },
    });
    for (let attempt = 0; attempt < WITHIN_ATTEMPTS; attempt++) {
      if ((await h.cluster().discover()).byResource(type.group, "v2", "widgets")?.version === "v2") break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const namespace = await h.namespace();
    const v2 = { ...type, version: "v2" };
    const create = (of: ResourceType, n: number) =>
      h.cluster().create(of, widget(of, namespace, `w-${n}`, { n }), dryRun);
    await policy(
      namespace,
      {
        matchConstraints: {
          resourceRules: [
            { apiGroups: [type.group], apiVersions: ["v1"], operations: ["CREATE"], resources: ["widgets"] },
          ],
        },
        validations: [
          { expression: "object.spec.n < 5 && object.apiVersion.endsWith('/v1')", message: "small ones only" },
        ],
      },
      () => create(type, 9),
    );
    expect((await refusal(create(v2, 9))).message).toContain("small ones only");
    await create(v2, 1);
  });

  it("names every mistake in a policy and a binding", async () => {
    const causes = async (of: ResourceType, spec: JsonObject) => {
      const error = await refusal(
        h.cluster().create(of, { apiVersion, kind: of.kind, metadata: { name: "bad" }, spec }),
      );
      return error.details.causes
        ?.map((cause) => `${cause.field} ${cause.message.replace(/(: ERROR|, must).*/s, "")}`)
        .toSorted();
    };
    expect(
      await causes(Policy, {
        failurePolicy: "Never",
        matchConstraints: {
          resourceRules: [{ operations: ["MAKE"], apiGroups: [""], apiVersions: ["v1"], resources: [] }],
        },
        validations: [
          { expression: "object.x +" },
          { expression: "1" },
          { expression: "other == 1", reason: "Because" },
          {},
        ],
      }),
    ).toEqual([
      'spec.failurePolicy Unsupported value: "Never": supported values: "Fail", "Ignore"',
      'spec.matchConstraints.resourceRules[0].operations[0] Unsupported value: "MAKE": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
      "spec.matchConstraints.resourceRules[0].resources Required value",
      'spec.validations[0].expression Invalid value: "object.x +": compilation failed',
      'spec.validations[1].expression Invalid value: "1": must evaluate to bool but got int',
      'spec.validations[2].expression Invalid value: "other == 1": compilation failed',
      'spec.validations[2].reason Unsupported value: "Because": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"',
      "spec.validations[3].expression Required value: expression is not specified",
    ]);
    expect(await causes(Policy, {})).toEqual([
      "spec.auditAnnotations Required value: validations or auditAnnotations must contain at least one item",
      "spec.matchConstraints Required value",
      "spec.validations Required value: validations or auditAnnotations must contain at least one item",
    ]);
    expect(await causes(Binding, { paramRef: {}, validationActions: ["Deny", "Shout"] })).toEqual([
      "spec.paramRef Required value: one of name or selector must be specified",
      "spec.paramRef.parameterNotFoundAction Required value",
      "spec.policyName Required value",
      'spec.validationActions[1] Unsupported value: "Shout": supported values: "Audit", "Deny", "Warn"',
    ]);
  });

  webhookCases(h, untilRefused);
}

function webhookCases(h: Harness, untilRefused: (probe: () => Promise<unknown>) => Promise<void>): void {
  const apiVersion = `${GROUP}/v1`;
  let server: WebhookServer | undefined;
  let counter = 0;
  const made: string[] = [];
  const hooks = (): WebhookServer => {
    if (!server) throw new Error("no webhook");
    return server;
  };
  beforeAll(async () => {
    server = await startWebhookServer();
  });
  afterAll(async () => {
    for (const name of made) await h.cluster().delete(Webhooks, { name });
    await server?.close();
  });

  const configMap = (namespace: string, name: string, labels: Record<string, string> = {}) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, labels },
  });
  /** Webhooks of one namespace, with one more that refuses the probe alone: it tells when they are in force. */
  const configure = async (namespace: string, ...webhooks: readonly JsonObject[]): Promise<void> => {
    const name = `webhooks-${namespace}-${counter++}`;
    const base = {
      admissionReviewVersions: ["v1"],
      sideEffects: "None",
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
      rules: [{ ...CONFIG_MAPS, operations: ["*"] }],
    };
    await h.cluster().create(Webhooks, {
      apiVersion,
      kind: "ValidatingWebhookConfiguration",
      metadata: { name },
      webhooks: [
        ...webhooks.map((webhook, i): JsonObject => Object.assign({ name: `w${i}.seam.example` }, base, webhook)),
        {
          name: "probe.seam.example",
          ...base,
          objectSelector: { matchLabels: { probe: "yes" } },
          clientConfig: { url: hooks().url("deny"), caBundle: hooks().caBundle },
        },
      ],
    });
    made.push(name);
    await untilRefused(() =>
      h.cluster().create(ConfigMap, configMap(namespace, "probe", { probe: "yes" }), { dryRun: true }),
    );
  };
  const at = (path: string) => ({ clientConfig: { url: hooks().url(path), caBundle: hooks().caBundle } });

  it("asks a webhook with the whole request, and stores what it allows", async () => {
    const namespace = await h.namespace();
    await configure(namespace, at(`allow/${namespace}`));
    const before = hooks().seen(`allow/${namespace}`).length;
    const created = await h.cluster().create(ConfigMap, configMap(namespace, "a"), { fieldManager: "tester" });
    await h.cluster().patch(ConfigMap, { namespace, name: "a" }, { type: "merge", body: { data: { k: "v" } } });
    await h.cluster().delete(ConfigMap, { namespace, name: "a" });
    const seen = hooks().seen(`allow/${namespace}`).slice(before);
    expect(seen.map((request) => request["operation"])).toEqual(["CREATE", "UPDATE", "DELETE"]);
    const type = {
      kind: { group: "", version: "v1", kind: "ConfigMap" },
      resource: { group: "", version: "v1", resource: "configmaps" },
    };
    expect(seen[0]).toMatchObject({
      ...type,
      requestKind: type.kind,
      requestResource: type.resource,
      name: "a",
      namespace,
      object: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace, uid: created.metadata.uid } },
      oldObject: null,
      dryRun: false,
      options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1", fieldManager: "tester" },
    });
    expect(seen[1]).toMatchObject({ object: { data: { k: "v" } }, options: { kind: "UpdateOptions" } });
    expect(seen[1]?.["oldObject"]).not.toHaveProperty("data");
    expect(seen[2]).toMatchObject({
      object: null,
      oldObject: { data: { k: "v" } },
      options: { kind: "DeleteOptions" },
    });
    expect(seen[0]?.["userInfo"]).toMatchObject({ groups: expect.arrayContaining(["system:masters"]) as unknown });
    await h.cluster().create(ConfigMap, configMap(namespace, "b"), { dryRun: true });
    expect(hooks().seen(`allow/${namespace}`).at(-1)).toMatchObject({ dryRun: true });
  });

  it("refuses what a webhook denies, in its words", async () => {
    const namespace = await h.namespace();
    await configure(
      namespace,
      { ...at("deny"), objectSelector: { matchLabels: { how: "deny" } } },
      { ...at("silent"), objectSelector: { matchLabels: { how: "silent" } } },
      { ...at("teapot"), objectSelector: { matchLabels: { how: "teapot" } } },
      { ...at("warn"), objectSelector: { matchLabels: { how: "warn" } } },
    );
    const create = (how: string, onWarning: (warning: string) => void = () => undefined) =>
      h.cluster().create(ConfigMap, configMap(namespace, how, { how }), { onWarning });
    const denied = await refusal(create("deny"));
    expect([denied.code, denied.reason, denied.message]).toEqual([
      403,
      "Forbidden",
      'admission webhook "w0.seam.example" denied the request: not today',
    ]);
    const silent = await refusal(create("silent"));
    expect([silent.code, silent.message]).toEqual([
      400,
      'admission webhook "w1.seam.example" denied the request without explanation',
    ]);
    const teapot = await refusal(create("teapot"));
    expect([teapot.code, teapot.message]).toEqual([
      418,
      'admission webhook "w2.seam.example" denied the request: Teapot',
    ]);
    const warnings: string[] = [];
    await create("warn", (warning) => warnings.push(warning));
    expect(warnings).toEqual(["think again"]);
    await create("none");
  });

  it("calls only what selectors, rules and match conditions leave", async () => {
    const namespace = await h.namespace();
    const path = (which: string) => `allow/${namespace}-${which}`;
    await configure(
      namespace,
      { ...at(path("condition")), matchConditions: [{ name: "not-b", expression: "object.metadata.name != 'b'" }] },
      { ...at(path("rule")), rules: [{ ...CONFIG_MAPS, operations: ["DELETE"] }] },
      { ...at(path("elsewhere")), namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "elsewhere" } } },
      { ...at(path("label")), objectSelector: { matchLabels: { a: "1" } } },
    );
    const before = hooks().seen(path("condition")).length;
    await h.cluster().create(ConfigMap, configMap(namespace, "a", { a: "1" }));
    await h.cluster().create(ConfigMap, configMap(namespace, "b"));
    await h
      .cluster()
      .patch(ConfigMap, { namespace, name: "a" }, { type: "merge", body: { metadata: { labels: { a: null } } } });
    const names = (which: string, from = 0) =>
      hooks()
        .seen(path(which))
        .slice(from)
        .map((request) => request["name"]);
    expect(names("condition", before)).toEqual(["a", "a"]);
    expect(names("rule")).toEqual([]);
    expect(names("elsewhere")).toEqual([]);
    expect(names("label")).toEqual(["a", "a"]);
    const failing = await h.namespace();
    await configure(failing, { ...at("allow"), matchConditions: [{ name: "no", expression: "object.nothing == 1" }] });
    const error = await refusal(h.cluster().create(ConfigMap, configMap(failing, "a")));
    expect(error.code).toBe(403);
    expect(error.message).toContain(
      `configmaps "a" is forbidden: expression 'object.nothing == 1' resulted in error: `,
    );
  });

  it("fails closed or open when a webhook gives no usable answer", async () => {
    const namespace = await h.namespace();
    const selected = (how: string) => ({ objectSelector: { matchLabels: { how } } });
    await configure(
      namespace,
      { ...selected("away"), clientConfig: { url: "https://127.0.0.1:1/x" } },
      { ...selected("away-ignored"), clientConfig: { url: "https://127.0.0.1:1/x" }, failurePolicy: "Ignore" },
      { ...at("hang"), ...selected("hang"), timeoutSeconds: 1 },
      { ...at("other-uid"), ...selected("uid") },
      { ...at("broken"), ...selected("broken") },
      { ...selected("untrusted"), clientConfig: { url: hooks().url("allow") } },
      { ...selected("service"), clientConfig: { service: { name: "nope", namespace: "default" } } },
    );
    const create = (how: string) => h.cluster().create(ConfigMap, configMap(namespace, how, { how }));
    const prefix = (i: number, url: string) =>
      `Internal error occurred: failed calling webhook "w${i}.seam.example": failed to call webhook: Post "${url}`;
    const away = await refusal(create("away"));
    expect([away.code, away.reason]).toEqual([500, "InternalError"]);
    expect(away.message).toContain(prefix(0, 'https://127.0.0.1:1/x?timeout=10s": '));
    await create("away-ignored");
    const hang = await refusal(create("hang"));
    expect(hang.message).toBe(`${prefix(2, `${hooks().url("hang")}?timeout=1s": `)}context deadline exceeded`);
    for (const how of ["uid", "broken", "untrusted"]) expect((await refusal(create(how))).code).toBe(500);
    expect((await refusal(create("service"))).message).toBe(
      `${prefix(6, 'https://nope.default.svc:443/?timeout=10s": ')}service "nope" not found`,
    );
  });

  it("names every mistake in a webhook configuration", async () => {
    const error = await refusal(
      h.cluster().create(Webhooks, {
        apiVersion,
        kind: "ValidatingWebhookConfiguration",
        metadata: { name: "bad" },
        webhooks: [
          { name: "x", clientConfig: { url: "http://a" }, rules: [{}], failurePolicy: "Maybe", timeoutSeconds: 31 },
        ],
      }),
    );
    expect(error.details.causes?.map((cause) => cause.field).toSorted()).toEqual([
      "webhooks[0].admissionReviewVersions",
      "webhooks[0].clientConfig.url",
      "webhooks[0].failurePolicy",
      "webhooks[0].name",
      "webhooks[0].rules[0].apiGroups",
      "webhooks[0].rules[0].apiVersions",
      "webhooks[0].rules[0].operations",
      "webhooks[0].rules[0].resources",
      "webhooks[0].sideEffects",
      "webhooks[0].timeoutSeconds",
    ]);
    expect(error.message).toContain(
      "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
    );
  });
}
