import { expect, it } from "vitest";
import { CustomResourceDefinition } from "../../../src/api/builtin.ts";
import { type Harness, refusal, untilGone, widget } from "../harness.ts";

export function customResourceCases(h: Harness): void {
  it("serves an established CRD with its names", async () => {
    const type = await h.customResource({ spec: { type: "object" } });
    const crd = await h.cluster().get(CustomResourceDefinition, { name: `widgets.${type.group}` });
    expect(crd.spec.names).toMatchObject({ singular: "widget", listKind: "WidgetList" });
    const conditions = Object.fromEntries((crd.status?.conditions ?? []).map((c) => [c.type, c.status]));
    expect(conditions).toMatchObject({ NamesAccepted: "True", Established: "True" });
    expect(crd.status?.storedVersions).toEqual(["v1"]);
    const served = (await h.cluster().discover()).byResource(type.group, "v1", "widgets");
    expect(served).toMatchObject({ kind: "Widget", namespaced: true });
  });

  it("validates types, bounds, enums, patterns and required fields, naming each", async () => {
    const type = await h.customResource({
      spec: {
        type: "object",
        required: ["size"],
        properties: {
          size: { type: "integer", minimum: 1, maximum: 5 },
          mode: { type: "string", enum: ["Fast", "Slow"] },
          host: { type: "string", pattern: "^[a-z]+$", maxLength: 5 },
          list: { type: "array", maxItems: 2, items: { type: "string" } },
          port: { "x-kubernetes-int-or-string": true },
        },
      },
    });
    const namespace = await h.namespace();
    const create = (spec: Parameters<typeof widget>[3]) => h.cluster().create(type, widget(type, namespace, "w", spec));
    const fields = async (spec: Parameters<typeof widget>[3]) =>
      (await refusal(create(spec))).details.causes?.map((cause) => `${cause.reason} ${cause.field}`);
    expect(await fields({})).toEqual(["FieldValueRequired spec.size"]);
    expect(await fields({ size: "big" })).toEqual(["FieldValueTypeInvalid spec.size"]);
    expect(await fields({ size: 9 })).toEqual(["FieldValueInvalid spec.size"]);
    expect(await fields({ size: 1, mode: "Odd" })).toEqual(["FieldValueNotSupported spec.mode"]);
    expect(await fields({ size: 1, host: "ABC" })).toEqual(["FieldValueInvalid spec.host"]);
    expect(await fields({ size: 1, list: ["a", "b", "c"] })).toEqual(["FieldValueTooMany spec.list"]);
    expect(await fields({ size: 1, port: true })).toEqual(["FieldValueTypeInvalid spec.port"]);
    const typed = await refusal(create({ size: "big" }));
    expect(typed.message).toBe(
      `Widget.${type.group} "w" is invalid: spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"`,
    );
    const unsupported = await refusal(create({ size: 1, mode: "Odd" }));
    expect(unsupported.message).toContain('spec.mode: Unsupported value: "Odd": supported values: "Fast", "Slow"');
    for (const port of [80, "http"]) {
      const made = await h.cluster().create(type, widget(type, namespace, `w-${port}`, { size: 1, port }));
      expect(made["spec"]).toMatchObject({ port });
    }
  });

  it("fills in defaults, nested ones too, and drops what the schema does not know", async () => {
    const type = await h.customResource({
      spec: {
        type: "object",
        properties: {
          level: { type: "integer", default: 3 },
          nested: {
            type: "object",
            default: {},
            properties: { on: { type: "boolean", default: true }, note: { type: "string" } },
          },
          items: {
            type: "array",
            items: {
              type: "object",
              properties: { name: { type: "string" }, weight: { type: "integer", default: 1 } },
            },
          },
          open: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
          maybe: { type: "string", nullable: true },
          never: { type: "string", default: "filled" },
        },
      },
    });
    const namespace = await h.namespace();
    const created = await h.cluster().create(
      type,
      widget(type, namespace, "w", {
        unknown: 1,
        nested: { other: 2 },
        items: [{ name: "a", extra: true }],
        open: { anything: { goes: [1] } },
        maybe: null,
        never: null,
      }),
    );
    expect(created["spec"]).toEqual({
      level: 3,
      nested: { on: true },
      items: [{ name: "a", weight: 1 }],
      open: { anything: { goes: [1] } },
      maybe: null,
      never: "filled",
    });
  });

  it("refuses unknown fields when validation is strict", async () => {
    const type = await h.customResource({ spec: { type: "object", properties: { a: { type: "string" } } } });
    const namespace = await h.namespace();
    const error = await refusal(
      h.cluster().create(type, widget(type, namespace, "w", { a: "x", typo: 1 }), { fieldValidation: "Strict" }),
    );
    expect([error.code, error.reason]).toEqual([400, "BadRequest"]);
    expect(error.message).toContain('strict decoding error: unknown field "spec.typo"');
  });

  it("keeps status for its subresource", async () => {
    const type = await h.customResource({
      spec: { type: "object", properties: { n: { type: "integer" } } },
      status: { type: "object", properties: { phase: { type: "string" } } },
      version: { subresources: { status: {} } },
    });
    const namespace = await h.namespace();
    const created = await h
      .cluster()
      .create(type, { ...widget(type, namespace, "w", { n: 1 }), status: { phase: "Set" } });
    expect(created["status"]).toBeUndefined();
    expect(created.metadata.generation).toBe(1);
    const updated = await h.cluster().updateStatus(type, { ...created, spec: { n: 9 }, status: { phase: "Ready" } });
    expect(updated["status"]).toEqual({ phase: "Ready" });
    expect(updated["spec"]).toEqual({ n: 1 });
    expect(updated.metadata.generation).toBe(1);
    const changed = await h.cluster().update(type, { ...updated, spec: { n: 2 }, status: { phase: "Lost" } });
    expect(changed.metadata.generation).toBe(2);
    expect(changed["status"]).toEqual({ phase: "Ready" });
  });

  it("serves every version of a CRD from one storage", async () => {
    const type = await h.customResource({ spec: { type: "object", properties: { n: { type: "integer" } } } });
    const name = `widgets.${type.group}`;
    const crd = await h.cluster().get(CustomResourceDefinition, { name });
    const [v1] = crd.spec.versions;
    if (!v1) throw new Error("no version");
    await h.cluster().update(CustomResourceDefinition, {
      ...crd,
      spec: { ...crd.spec, versions: [v1, { ...v1, name: "v1beta1", storage: false }] },
    });
    const namespace = await h.namespace();
    await h.cluster().create(type, widget(type, namespace, "w", { n: 1 }));
    const beta = { ...type, version: "v1beta1" };
    for (let attempt = 0; attempt < 100; attempt++) {
      if ((await h.cluster().discover()).byResource(type.group, "v1beta1", "widgets")?.version === "v1beta1") break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const read = await h.cluster().get(beta, { namespace, name: "w" });
    expect(read.apiVersion).toBe(`${type.group}/v1beta1`);
    const preferred = (await h.cluster().discover()).byKind(type.group, "", "Widget");
    expect(preferred?.version).toBe("v1");
  });

  it("refuses CRDs that are not structural", async () => {
    const error = await refusal(
      h.cluster().create(CustomResourceDefinition, {
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        metadata: { name: "things.bad.example" },
        spec: {
          group: "bad.example",
          scope: "Namespaced",
          names: { plural: "things", kind: "Thing" },
          versions: [
            {
              name: "v1",
              served: true,
              storage: true,
              schema: { openAPIV3Schema: { type: "object", properties: { spec: { properties: {} } } } },
            },
          ],
        },
      }),
    );
    expect([error.code, error.reason]).toEqual([422, "Invalid"]);
    expect(error.message).toContain("properties[spec].type: Required value");
    const named = await refusal(
      h.cluster().create(CustomResourceDefinition, {
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        metadata: { name: "wrong.bad.example" },
        spec: {
          group: "bad.example",
          scope: "Namespaced",
          names: { plural: "things", kind: "Thing" },
          versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
        },
      }),
    );
    expect(named.message).toContain('must be spec.names.plural+"."+spec.group');
  });

  it("takes its objects along when a CRD is deleted", async (context) => {
    if (!h.target().controllers) {
      context.skip("the target runs no controllers");
      return;
    }
    const type = await h.customResource({ spec: { type: "object" } });
    const namespace = await h.namespace();
    await h.cluster().create(type, widget(type, namespace, "w", {}));
    const name = `widgets.${type.group}`;
    await h.cluster().delete(CustomResourceDefinition, { name });
    await untilGone(() => h.cluster().get(CustomResourceDefinition, { name }));
    expect((await refusal(h.cluster().list(type, { namespace }))).code).toBe(404);
    expect((await h.cluster().discover()).byKind(type.group, "v1", "Widget")).toBeUndefined();
  });
}
