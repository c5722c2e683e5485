import { expect, it } from "vitest";
import { ConfigMap, type ConfigMapObject, Namespace, Secret } from "../../../src/api/builtin.ts";
import type { OwnerReference } from "../../../src/api/object.ts";
import { type Harness, refusal, untilGone } from "../harness.ts";

function ownedBy(owner: ConfigMapObject, block = false): OwnerReference {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? "",
    ...(block ? { blockOwnerDeletion: true } : {}),
  };
}

export function deletionCases(h: Harness): void {
  const create = (namespace: string, name: string, metadata: object = {}): Promise<ConfigMapObject> =>
    h.cluster().create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, ...metadata } });

  it("removes at once what nothing holds", async () => {
    const namespace = await h.namespace();
    await create(namespace, "a");
    expect(await h.cluster().delete(ConfigMap, { namespace, name: "a" })).toBeUndefined();
    expect((await refusal(h.cluster().delete(ConfigMap, { namespace, name: "a" }))).code).toBe(404);
  });

  it("marks what has finalizers, keeps it from new ones, and removes it with the last", async () => {
    const namespace = await h.namespace();
    await create(namespace, "held", { finalizers: ["example.com/one"] });
    const marked = await h.cluster().delete(ConfigMap, { namespace, name: "held" });
    expect(marked?.metadata.deletionTimestamp).toBeTruthy();
    const again = await h.cluster().delete(ConfigMap, { namespace, name: "held" });
    expect(again?.metadata.deletionTimestamp).toBe(marked?.metadata.deletionTimestamp);
    const key = { namespace, name: "held" };
    const added = await refusal(
      h.cluster().patch(ConfigMap, key, {
        type: "merge",
        body: { metadata: { finalizers: ["example.com/one", "example.com/two"] } },
      }),
    );
    expect(added.message).toContain("no new finalizers can be added if the object is being deleted");
    await h.cluster().patch(ConfigMap, key, { type: "merge", body: { metadata: { finalizers: null } } });
    expect((await refusal(h.cluster().get(ConfigMap, key))).code).toBe(404);
  });

  it("checks preconditions", async () => {
    const namespace = await h.namespace();
    const object = await create(namespace, "a");
    const key = { namespace, name: "a" };
    const uid = await refusal(h.cluster().delete(ConfigMap, key, { preconditions: { uid: "other" } }));
    expect([uid.code, uid.reason]).toEqual([409, "Conflict"]);
    expect(uid.message).toContain(
      `the UID in the precondition (other) does not match the UID in record (${object.metadata.uid})`,
    );
    const version = await refusal(h.cluster().delete(ConfigMap, key, { preconditions: { resourceVersion: "1" } }));
    expect(version.code).toBe(409);
    await h.cluster().delete(ConfigMap, key, { preconditions: { uid: object.metadata.uid ?? "" } });
  });

  it("keeps the namespaces a cluster cannot be without", async () => {
    const error = await refusal(h.cluster().delete(Namespace, { name: "default" }));
    expect([error.code, error.reason]).toEqual([403, "Forbidden"]);
    expect(error.message).toBe('namespaces "default" is forbidden: this namespace may not be deleted');
  });

  const withControllers = (name: string, body: () => Promise<void>): void => {
    it(name, async (context) => {
      if (h.target().controllers) await body();
      else context.skip("the target runs no controllers");
    });
  };

  withControllers("collects dependents in the background, also across kinds and in chains", async () => {
    const namespace = await h.namespace();
    const owner = await create(namespace, "owner");
    const child = await create(namespace, "child", { ownerReferences: [ownedBy(owner)] });
    await h.cluster().create(Secret, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "grandchild", namespace, ownerReferences: [ownedBy(child)] },
    });
    const other = await create(namespace, "other-owner");
    await create(namespace, "shared", { ownerReferences: [ownedBy(owner), ownedBy(other)] });
    await h.cluster().delete(ConfigMap, { namespace, name: "owner" }, { propagationPolicy: "Background" });
    await untilGone(() => h.cluster().get(Secret, { namespace, name: "grandchild" }));
    await untilGone(() => h.cluster().get(ConfigMap, { namespace, name: "child" }));
    const shared = await h.cluster().get(ConfigMap, { namespace, name: "shared" });
    expect(shared.metadata.ownerReferences?.map((reference) => reference.name)).toContain("other-owner");
  });

  withControllers("lets blocking dependents go first in the foreground", async () => {
    const namespace = await h.namespace();
    const owner = await create(namespace, "owner");
    await create(namespace, "child", { ownerReferences: [ownedBy(owner, true)], finalizers: ["example.com/hold"] });
    const marked = await h
      .cluster()
      .delete(ConfigMap, { namespace, name: "owner" }, { propagationPolicy: "Foreground" });
    expect(marked?.metadata.finalizers).toEqual(["foregroundDeletion"]);
    const child = { namespace, name: "child" };
    for (;;) {
      const object = await h.cluster().get(ConfigMap, child);
      if (object.metadata.deletionTimestamp !== undefined) break;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await h.cluster().get(ConfigMap, { namespace, name: "owner" });
    await h.cluster().patch(ConfigMap, child, { type: "merge", body: { metadata: { finalizers: null } } });
    await untilGone(() => h.cluster().get(ConfigMap, { namespace, name: "owner" }));
  });

  withControllers("orphans dependents when asked to", async () => {
    const namespace = await h.namespace();
    const owner = await create(namespace, "owner");
    await create(namespace, "child", { ownerReferences: [ownedBy(owner)] });
    await h.cluster().delete(ConfigMap, { namespace, name: "owner" }, { propagationPolicy: "Orphan" });
    await untilGone(() => h.cluster().get(ConfigMap, { namespace, name: "owner" }));
    const child = await h.cluster().get(ConfigMap, { namespace, name: "child" });
    expect(child.metadata.ownerReferences ?? []).toEqual([]);
  });

  it("changes the finalizers of a namespace through finalize alone", async () => {
    const name = await h.namespace();
    const namespace = await h.cluster().get(Namespace, { name });
    const finalizers = ["kubernetes", "example.com/mine"];
    await h.cluster().update(Namespace, { ...namespace, spec: { finalizers } });
    expect((await h.cluster().get(Namespace, { name })).spec).toEqual({ finalizers: ["kubernetes"] });
    const { resourceVersion: _, ...metadata } = namespace.metadata;
    const finalized = await h
      .cluster()
      .update(Namespace, { ...namespace, metadata, spec: { finalizers } }, { subresource: "finalize" });
    expect(finalized.spec).toEqual({ finalizers });
    await h.cluster().delete(Namespace, { name });
    const held = await h.cluster().get(Namespace, { name });
    expect(held.status?.phase).toBe("Terminating");
    await h
      .cluster()
      .update(Namespace, { ...held, spec: { finalizers: [] } }, { subresource: "finalize" })
      // The namespace life cycle, where there is one, may have been faster with its own.
      .catch(() =>
        h.cluster().update(Namespace, { ...held, metadata, spec: { finalizers: [] } }, { subresource: "finalize" }),
      );
    if (!h.target().controllers) return;
    await untilGone(() => h.cluster().get(Namespace, { name }));
  });

  withControllers("empties a namespace before it goes, and lets nothing new in", async () => {
    const namespace = await h.namespace();
    await create(namespace, "held", { finalizers: ["example.com/hold"] });
    await create(namespace, "free");
    const marked = await h.cluster().delete(Namespace, { name: namespace });
    expect(marked?.status?.phase).toBe("Terminating");
    const late = await refusal(create(namespace, "late"));
    expect([late.code, late.reason]).toEqual([403, "Forbidden"]);
    expect(late.message).toContain(`because it is being terminated`);
    await untilGone(() => h.cluster().get(ConfigMap, { namespace, name: "free" }));
    await h.cluster().get(Namespace, { name: namespace });
    await h
      .cluster()
      .patch(ConfigMap, { namespace, name: "held" }, { type: "merge", body: { metadata: { finalizers: null } } });
    await untilGone(() => h.cluster().get(Namespace, { name: namespace }));
  });
}
