import { setTimeout as elapse } from "node:timers/promises";
import { Agent, request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap, CustomResourceDefinition } from "../../src/api/builtin.ts";
import { ADMIN_TOKEN, type RawRequest, serveTestApi, type TestApi } from "../support/served-api.ts";
import { Widget, widgetCrd } from "../support/widget.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const JSON_TYPE = { "content-type": "application/json" };

let test: TestApi;

beforeAll(async () => {
  test = await serveTestApi();
  await test.cluster.create(CustomResourceDefinition, widgetCrd);
});
afterAll(() => test.close());

function configMap(name: string, extra: object = {}): string {
  return JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, ...extra });
}

async function post(path: string, body: string, options: RawRequest = {}) {
  return test.send(path, { method: "POST", headers: JSON_TYPE, body, ...options });
}

describe("who may ask", () => {
  it("lets everybody see health and version, and nothing else", async () => {
    expect((await test.send("/readyz", { anonymous: true })).text).toBe("ok");
    expect((await test.send("/version", { anonymous: true })).json).toMatchObject({ major: "1" });
    expect(await test.send("/api/v1/pods", { anonymous: true })).toMatchObject({
      status: 403,
      json: {
        kind: "Status",
        reason: "Forbidden",
        message:
          'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
      },
    });
    expect(await test.send("/apis", { anonymous: true })).toMatchObject({
      status: 403,
      json: { message: 'forbidden: User "system:anonymous" cannot get path "/apis"' },
    });
  });

  it("refuses an unknown token and a certificate of another CA", async () => {
    const wrong = await test.send("/api", { anonymous: true, headers: { authorization: "Bearer wrong" } });
    expect(wrong).toMatchObject({ status: 401, json: { reason: "Unauthorized", message: "Unauthorized" } });
    const { CertificateAuthority } = await import("../../src/trust/ca/certificate-authority.ts");
    const { systemClock } = await import("../../src/base/clock.ts");
    const other = await CertificateAuthority.create("another CA", { clock: systemClock });
    const certificate = await other.issue({ kind: "operator", user: "admin", groups: ["system:masters"] });
    expect((await test.send("/api", { certificate })).status).toBe(401);
  });

  it("takes user and groups from the client certificate", async () => {
    const body = JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" });
    const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    expect((await post(path, body, { certificate: test.bob })).json).toMatchObject({
      status: { userInfo: { username: "bob", groups: ["developers", "system:authenticated"] } },
    });
    expect(await test.send("/apis/apps/v1/namespaces/a/deployments/b", { certificate: test.bob })).toMatchObject({
      status: 403,
      json: {
        message:
          'deployments.apps "b" is forbidden: User "bob" cannot get resource "deployments" in API group "apps" in the namespace "a"',
        details: { name: "b", group: "apps", kind: "deployments" },
      },
    });
    expect((await test.send("/apis/apps/v1/deployments", { certificate: test.admin })).status).toBe(200);
  });

  it("answers access reviews for the one who asks", async () => {
    const path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    const body = JSON.stringify({ spec: { resourceAttributes: { verb: "get", resource: "pods" } } });
    expect((await post(path, body)).json).toMatchObject({ status: { allowed: true } });
    expect((await post(path, body, { certificate: test.bob })).json).toMatchObject({ status: { allowed: false } });
    expect(await post(path, JSON.stringify({ spec: {} }))).toMatchObject({ status: 422 });
  });
});

describe("bad requests", () => {
  const refused = async (
    path: string,
    options: RawRequest,
    expected: { status: number; reason: string; message: RegExp | string },
  ): Promise<void> => {
    const answer = await test.send(path, options);
    const { reason, message } = answer.json as { reason: string; message: string };
    expect({ status: answer.status, reason }).toEqual({ status: expected.status, reason: expected.reason });
    if (typeof expected.message === "string") expect(message).toBe(expected.message);
    else expect(message).toMatch(expected.message);
  };

  it("names what is wrong with the body", async () => {
    const method = "POST";
    await refused(
      CONFIG_MAPS,
      { method, headers: JSON_TYPE, body: "{garbage" },
      {
        status: 400,
        reason: "BadRequest",
        message:
          /^the object provided is unrecognized \(must be of type ConfigMap\): .*json parse error: .*\(\{garbage\)$/,
      },
    );
    await refused(
      CONFIG_MAPS,
      { method, headers: { "content-type": "text/plain" }, body: "x" },
      {
        status: 415,
        reason: "UnsupportedMediaType",
        message:
          "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
      },
    );
    await refused(
      CONFIG_MAPS,
      { method, headers: JSON_TYPE, body: JSON.stringify("x".repeat(3 * 1024 * 1024)) },
      {
        status: 413,
        reason: "RequestEntityTooLarge",
        message: "Request entity too large: limit is 3145728",
      },
    );
    await refused(
      CONFIG_MAPS,
      { method, headers: JSON_TYPE, body: Uint8Array.from([0x22, 0xff, 0x22]) },
      {
        status: 400,
        reason: "BadRequest",
        message: "the body of the request is not UTF-8",
      },
    );
    await refused(
      CONFIG_MAPS,
      { method, headers: JSON_TYPE, body: configMap("a", { kind: "Secret" }) },
      {
        status: 400,
        reason: "BadRequest",
        message: /does not match the expected/,
      },
    );
    await refused(
      CONFIG_MAPS,
      { method, headers: JSON_TYPE, body: configMap("a", { metadata: { namespace: "other" } }) },
      {
        status: 400,
        reason: "BadRequest",
        message: "the namespace of the provided object does not match the namespace sent on the request",
      },
    );
  });

  it("refuses duplicate members when strict and warns otherwise", async () => {
    const body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"twice"},"data":{"a":"1","a":"2"}}';
    await refused(
      `${CONFIG_MAPS}?fieldValidation=Strict`,
      { method: "POST", headers: JSON_TYPE, body },
      {
        status: 400,
        reason: "BadRequest",
        message:
          'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.a"',
      },
    );
    const warned = await post(CONFIG_MAPS, body);
    expect(warned).toMatchObject({ status: 201, json: { data: { a: "2" } } });
    expect(warned.headers["warning"]).toBe('299 - "duplicate field \\"data.a\\""');
  });

  it("warns about unknown fields of custom resources", async () => {
    const body = JSON.stringify({ metadata: { name: "warned" }, spec: { size: 1, bogus: true } });
    const path = "/apis/example.com/v1/namespaces/default/widgets";
    const answer = await post(path, body);
    expect(answer.status).toBe(201);
    expect(answer.headers["warning"]).toBe('299 - "unknown field \\"spec.bogus\\""');
    expect((await post(`${path}?fieldValidation=Strict`, body)).status).toBe(400);
  });

  it("knows paths, methods and representations it does not serve", async () => {
    const missing = { status: 404, reason: "NotFound", message: "the server could not find the requested resource" };
    await refused("/api/v1/unknowns", {}, missing);
    await refused(`${CONFIG_MAPS}/a/status`, {}, missing);
    await refused("/api/v1/namespaces/default/nodes", {}, missing);
    expect(await test.send("/apis/unknown.io/v1/things")).toMatchObject({ status: 404, text: "404 page not found\n" });
    expect(await test.send("/nowhere")).toMatchObject({ status: 404, text: "404 page not found\n" });
    const method = {
      status: 405,
      reason: "MethodNotAllowed",
      message: "the server does not allow this method on the requested resource",
    };
    await refused(CONFIG_MAPS, { method: "PUT", headers: JSON_TYPE, body: "{}" }, method);
    await refused("/api/v1/configmaps", { method: "POST", headers: JSON_TYPE, body: configMap("a") }, method);
    await refused(
      CONFIG_MAPS,
      { headers: { accept: "text/html" } },
      {
        status: 406,
        reason: "NotAcceptable",
        message: /^406: Not Acceptable\n\nAvailable representations: application\/json/,
      },
    );
    await refused(`${CONFIG_MAPS}/%E0%A4%A`, {}, { status: 400, reason: "BadRequest", message: /URL escape/ });
  });

  it("checks parameters of lists and patches", async () => {
    const bad = (message: string) => ({ status: 400, reason: "BadRequest", message });
    await refused(`${CONFIG_MAPS}?limit=x`, {}, bad('strconv.ParseInt: parsing "x": invalid syntax'));
    await refused(
      `${CONFIG_MAPS}?watch=1&labelSelector=a!!b`,
      {},
      { status: 400, reason: "BadRequest", message: /unable to parse requirement/ },
    );
    const patch = (type: string, body: string): RawRequest => ({
      method: "PATCH",
      headers: { "content-type": `application/${type}` },
      body,
    });
    await refused(`${CONFIG_MAPS}/a`, patch("apply-patch+yaml", "{}"), {
      status: 422,
      reason: "Invalid",
      message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    });
    await refused(`${CONFIG_MAPS}/a`, patch("x", "{}"), {
      status: 415,
      reason: "UnsupportedMediaType",
      message: /apply-patch/,
    });
    await refused(`${CONFIG_MAPS}/a`, patch("json-patch+json", '[{"op":"foo","path":"/"}]'), {
      status: 400,
      reason: "BadRequest",
      message: "error decoding patch: unexpected kind: foo",
    });
    await refused(`${CONFIG_MAPS}/a?dryRun=Some`, patch("merge-patch+json", "{}"), {
      status: 422,
      reason: "Invalid",
      message: 'PatchOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "Some": supported values: "All"',
    });
  });

  it("does not answer the next request of a connection whose body was too large with its rest", async () => {
    const agent = new Agent({ connections: 1, connect: { ca: test.ca.certificatePem } });
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const send = (body: string) =>
      request(`${test.api.url}${CONFIG_MAPS}`, { dispatcher: agent, method: "POST", headers, body });
    const first = await send(JSON.stringify("x".repeat(4 * 1024 * 1024)));
    expect(first.statusCode).toBe(413);
    await first.body.dump();
    const second = await send(configMap("after-large"));
    expect(second.statusCode).toBe(201);
    await second.body.dump();
    await agent.destroy();
  });
});

describe("representations", () => {
  it("makes tables with the columns of the CRD", async () => {
    const body = JSON.stringify({ metadata: { name: "shown" }, spec: { size: 3, color: "red" } });
    await post("/apis/example.com/v1/namespaces/default/widgets", body);
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const table = await test.send("/apis/example.com/v1/namespaces/default/widgets?fieldSelector=metadata.name=shown", {
      headers: { accept },
    });
    expect(table.json).toMatchObject({
      kind: "Table",
      columnDefinitions: [
        { name: "Name" },
        { name: "Size", type: "integer" },
        { name: "Ready" },
        { name: "Color", priority: 1 },
      ],
      rows: [
        { cells: ["shown", 3, null, "red"], object: { kind: "PartialObjectMetadata", metadata: { name: "shown" } } },
      ],
    });
  });

  it("answers YAML and reads it, with duplicates as warnings", async () => {
    const created = await post(CONFIG_MAPS, "metadata: {name: from-yaml}\ndata:\n  a: b\n  a: c\n", {
      headers: { "content-type": "application/yaml" },
    });
    expect(created).toMatchObject({ status: 201, json: { data: { a: "c" } } });
    expect(created.headers["warning"]).toContain("line 4");
    const shown = await test.send(`${CONFIG_MAPS}/from-yaml`, { headers: { accept: "application/yaml" } });
    expect(shown.text).toContain("name: from-yaml\n");
  });

  it("answers discovery from its ETag", async () => {
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const first = await test.send("/apis", { headers: { accept } });
    expect(first.headers["content-type"]).toBe(accept);
    const etag = String(first.headers["etag"]);
    const again = await test.send("/apis", { headers: { accept, "if-none-match": etag } });
    expect(again).toMatchObject({ status: 304, text: "" });
    expect((await test.send("/apis")).json).toMatchObject({ kind: "APIGroupList" });
    expect((await test.send("/apis/example.com/v1")).json).toMatchObject({
      kind: "APIResourceList",
      resources: [{ name: "widgets" }, { name: "widgets/status" }, { name: "widgets/scale", kind: "Scale" }],
    });
  });

  it("has OpenAPI documents whose references all lead somewhere", async () => {
    for (const path of [
      "/openapi/v2",
      "/openapi/v3/apis/example.com/v1",
      "/openapi/v3/apis/apps/v1",
      "/openapi/v3/api/v1",
    ]) {
      const answer = await test.send(path);
      expect(answer.status).toBe(200);
      const document = answer.json as { components?: { schemas: object }; definitions?: object };
      const names = new Set(Object.keys(document.components?.schemas ?? document.definitions ?? {}));
      const references = [...answer.text.matchAll(/"\$ref":"#\/(?:components\/schemas|definitions)\/([^"]+)"/g)];
      expect(references.length).toBeGreaterThan(0);
      for (const [, name = ""] of references) expect(names).toContain(name);
    }
  });
});

describe("scale and deletion", () => {
  it("scales through the subresource, conditionally when a version is given", async () => {
    const path = "/apis/example.com/v1/namespaces/default/widgets";
    await post(path, JSON.stringify({ metadata: { name: "scaled" }, spec: { size: 1 } }));
    const patched = await test.send(`${path}/scaled/scale`, {
      method: "PATCH",
      headers: { "content-type": "application/merge-patch+json" },
      body: '{"spec":{"replicas":4}}',
    });
    expect(patched.json).toMatchObject({ kind: "Scale", apiVersion: "autoscaling/v1", spec: { replicas: 4 } });
    const scale = patched.json as { metadata: { resourceVersion: string } };
    const put = (replicas: number, resourceVersion: string) =>
      test.send(`${path}/scaled/scale`, {
        method: "PUT",
        headers: JSON_TYPE,
        body: JSON.stringify({ metadata: { name: "scaled", resourceVersion }, spec: { replicas } }),
      });
    expect((await put(5, scale.metadata.resourceVersion)).status).toBe(200);
    expect(await put(6, scale.metadata.resourceVersion)).toMatchObject({ status: 409, json: { reason: "Conflict" } });
    expect(await put(-1, "")).toMatchObject({ status: 422, json: { reason: "Invalid" } });
    expect(await test.cluster.get(Widget, { namespace: "default", name: "scaled" })).toMatchObject({
      spec: { replicas: 5 },
    });
  });

  it("deletes one with a Status and many with a list", async () => {
    for (const name of ["many-1", "many-2"])
      await post(CONFIG_MAPS, configMap(name, { metadata: { name, labels: { many: "yes" } } }));
    const { uid } = (await test.cluster.get(ConfigMap, { namespace: "default", name: "many-1" })).metadata;
    expect((await test.send(`${CONFIG_MAPS}/many-1`, { method: "DELETE" })).json).toMatchObject({
      kind: "Status",
      status: "Success",
      details: { name: "many-1", kind: "configmaps", uid },
    });
    const rest = await test.send(`${CONFIG_MAPS}?labelSelector=many`, { method: "DELETE" });
    expect(rest.json).toMatchObject({ kind: "ConfigMapList", items: [{ metadata: { name: "many-2" } }] });
  });
});

describe("stopping", () => {
  it("ends watches and closes within a second", async () => {
    const own = await serveTestApi();
    const client = own.connect();
    const events: string[] = [];
    const first = Promise.withResolvers<void>();
    const watching = (async () => {
      for await (const event of client.watch(ConfigMap, {}, new AbortController().signal)) {
        events.push(event.type);
        first.resolve();
      }
    })();
    await own.cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", namespace: "default" },
    });
    await first.promise;
    const began = performance.now();
    own.stopServing();
    await Promise.race([own.api.closed, elapse(2000).then(() => Promise.reject(new Error("still open after 2 s")))]);
    expect(performance.now() - began).toBeLessThan(1000);
    await watching;
    expect(events).toEqual(["ADDED"]);
    await own.close();
  });
});
