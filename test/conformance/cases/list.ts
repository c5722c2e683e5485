import { expect, it } from "vitest";
import { ConfigMap, Pod } from "../../../src/api/builtin.ts";
import type { ListOptions } from "../../../src/cluster/cluster.ts";
import { type Harness, refusal } from "../harness.ts";

export function listCases(h: Harness): void {
  const fill = async (count: number): Promise<string> => {
    const namespace = await h.namespace();
    for (let i = 0; i < count; i++) {
      await h.cluster().create(ConfigMap, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: {
          name: `item-${i}`,
          namespace,
          labels: { parity: i % 2 === 0 ? "even" : "odd", index: `${i}`, ...(i === 0 ? { first: "" } : {}) },
        },
      });
    }
    return namespace;
  };
  const names = async (options: ListOptions): Promise<string[]> =>
    (await h.cluster().list(ConfigMap, options)).items
      .map((item) => item.metadata.name)
      .filter((name) => name.startsWith("item-"));

  it("sorts by namespace and name, and keeps namespaces apart", async () => {
    const namespace = await fill(3);
    expect(await names({ namespace })).toEqual(["item-0", "item-1", "item-2"]);
    const all = await h.cluster().list(ConfigMap);
    const keys = all.items.map((item) => `${item.metadata.namespace}/${item.metadata.name}`);
    expect(keys).toEqual(keys.toSorted());
  });

  it("selects by labels", async () => {
    const namespace = await fill(6);
    const select = (labelSelector: string) => names({ namespace, labelSelector });
    expect(await select("parity=even")).toEqual(["item-0", "item-2", "item-4"]);
    expect(await select("parity!=even")).toEqual(["item-1", "item-3", "item-5"]);
    expect(await select("index in (1, 2),parity=odd")).toEqual(["item-1"]);
    expect(await select("index notin (1,2,3)")).toEqual(["item-0", "item-4", "item-5"]);
    expect(await select("first")).toEqual(["item-0"]);
    expect(await select("!first,parity==even")).toEqual(["item-2", "item-4"]);
    const error = await refusal(h.cluster().list(ConfigMap, { namespace, labelSelector: "a in (b" }));
    expect([error.code, error.reason]).toEqual([400, "BadRequest"]);
  });

  it("selects by the fields of the kind and refuses others", async () => {
    const namespace = await fill(2);
    expect(await names({ namespace, fieldSelector: "metadata.name=item-1" })).toEqual(["item-1"]);
    expect(await names({ fieldSelector: `metadata.namespace=${namespace},metadata.name!=item-1` })).toEqual(["item-0"]);
    const pods = await h.cluster().list(Pod, { namespace, fieldSelector: "status.phase=Running" });
    expect(pods.items).toEqual([]);
    const error = await refusal(h.cluster().list(ConfigMap, { namespace, fieldSelector: "data.x=1" }));
    expect(error.code).toBe(400);
    expect(error.message).toContain(
      '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
    );
  });

  it("pages through one snapshot, whatever is written meanwhile", async () => {
    const namespace = await fill(5);
    const first = await h.cluster().list(ConfigMap, { namespace, limit: 2 });
    expect(first.items).toHaveLength(2);
    expect(first.continue).toBeTruthy();
    await h.cluster().delete(ConfigMap, { namespace, name: "item-3" });
    await h.cluster().create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "item-31", namespace },
    });
    const rest: string[] = [];
    let token = first.continue;
    while (token) {
      const page = await h.cluster().list(ConfigMap, { namespace, limit: 2, continue: token });
      expect(page.resourceVersion).toBe(first.resourceVersion);
      rest.push(...page.items.map((item) => item.metadata.name));
      token = page.continue;
    }
    expect(
      [...first.items.map((item) => item.metadata.name), ...rest].filter((name) => name.startsWith("item")),
    ).toEqual(["item-0", "item-1", "item-2", "item-3", "item-4"]);
  });

  it("lists the past by exact resourceVersion", async () => {
    const namespace = await fill(1);
    const { resourceVersion } = await h.cluster().list(ConfigMap, { namespace });
    await h
      .cluster()
      .patch(ConfigMap, { namespace, name: "item-0" }, { type: "merge", body: { data: { changed: "yes" } } });
    const past = await h.cluster().list(ConfigMap, { namespace, resourceVersion, resourceVersionMatch: "Exact" });
    expect(past.items.find((item) => item.metadata.name === "item-0")?.data).toBeUndefined();
  });

  it("expires tokens and versions that are compacted", async (context) => {
    const { compact } = h.target();
    if (!compact) {
      context.skip("the target cannot be compacted");
      return;
    }
    const namespace = await fill(3);
    const { continue: token, resourceVersion } = await h.cluster().list(ConfigMap, { namespace, limit: 1 });
    await h.cluster().delete(ConfigMap, { namespace, name: "item-2" });
    await compact();
    const page = await refusal(
      h.cluster().list(ConfigMap, { namespace, limit: 1, ...(token ? { continue: token } : {}) }),
    );
    expect([page.code, page.reason]).toEqual([410, "Expired"]);
    const exact = await refusal(
      h.cluster().list(ConfigMap, { namespace, resourceVersion, resourceVersionMatch: "Exact" }),
    );
    expect(exact.code).toBe(410);
  });
}
