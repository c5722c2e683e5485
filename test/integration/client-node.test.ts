import { CustomObjectsApi, KubeConfig, Watch, setHeaderOptions } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CustomResourceDefinition, Namespace } from "../../src/api/builtin.ts";
import { type TestApi, serveTestApi } from "../support/served-api.ts";
import { widgetCrd } from "../support/widget.ts";

const SHOP = { group: "example.com", version: "v1", namespace: "shop", plural: "widgets" };
const widget = (name: string, size: number): object => ({
  apiVersion: "example.com/v1",
  kind: "Widget",
  metadata: { name },
  spec: { size },
});

describe("an embedded cluster through client-node, a client that is not ours", () => {
  let api: TestApi;
  let config: KubeConfig;
  let client: CustomObjectsApi;

  beforeAll(async () => {
    api = await serveTestApi();
    await api.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
    await api.cluster.create(CustomResourceDefinition, widgetCrd);
    config = new KubeConfig();
    config.loadFromFile(api.kubeconfig);
    client = config.makeApiClient(CustomObjectsApi);
  });
  afterAll(() => api.close());

  it("creates, lists with defaults, and patches", async () => {
    await client.createNamespacedCustomObject({ ...SHOP, body: widget("a", 1) });
    expect(await client.listNamespacedCustomObject(SHOP)).toMatchObject({
      kind: "WidgetList",
      items: [{ metadata: { name: "a" }, spec: { size: 1, color: "blue" } }],
    });
    const merge = setHeaderOptions("Content-Type", "application/merge-patch+json");
    const patched: unknown = await client.patchNamespacedCustomObject(
      { ...SHOP, name: "a", body: { spec: { color: "red" } } },
      merge,
    );
    expect(patched).toMatchObject({ spec: { size: 1, color: "red" } });
  });

  it("is told why an object is refused", async () => {
    const refused = client.createNamespacedCustomObject({ ...SHOP, body: widget("bad", 0) });
    await expect(refused).rejects.toMatchObject({
      code: 422,
      body: expect.stringMatching(/spec\.size.*greater than or equal to 1/) as unknown,
    });
  });

  it("watches, and ends the watch when it likes", async () => {
    const seen: string[] = [];
    const watch = await new Watch(config).watch(
      "/apis/example.com/v1/namespaces/shop/widgets",
      {},
      (phase: string, object: { readonly metadata: { readonly name: string } }) => {
        seen.push(`${phase} ${object.metadata.name}`);
      },
      () => {
        // ended, by us
      },
    );
    await client.createNamespacedCustomObject({ ...SHOP, body: widget("b", 2) });
    await client.deleteNamespacedCustomObject({ ...SHOP, name: "b" });
    await vi.waitFor(() => expect(seen).toEqual(["ADDED a", "ADDED b", "DELETED b"]), { timeout: 10_000 });
    watch.abort();
  });
});
