import { expect, it } from "vitest";
import type { JsonObject } from "../../../src/base/json.ts";
import { type Harness, refusal, widget } from "../harness.ts";

export function ruleCases(h: Harness): void {
  const withRules = async (rules: readonly JsonObject[], properties: Record<string, JsonObject>) => {
    const type = await h.customResource({
      spec: { type: "object", "x-kubernetes-validations": [...rules], properties },
    });
    const namespace = await h.namespace();
    return {
      create: (spec: JsonObject, name = "w") => h.cluster().create(type, widget(type, namespace, name, spec)),
      merge: (spec: JsonObject) => h.cluster().patch(type, { namespace, name: "w" }, { type: "merge", body: { spec } }),
    };
  };

  it("evaluates rules with their messages, reasons and field paths", async () => {
    const { create } = await withRules(
      [
        { rule: "self.min <= self.max", messageExpression: "'min is above' + ' max'" },
        {
          rule: "!has(self.name) || self.name.startsWith('x-')",
          message: "must begin with x-",
          reason: "FieldValueForbidden",
          fieldPath: ".name",
        },
      ],
      { min: { type: "integer" }, max: { type: "integer" }, name: { type: "string", maxLength: 20 } },
    );
    const bounds = await refusal(create({ min: 3, max: 1 }));
    expect(bounds.code).toBe(422);
    expect(bounds.message).toContain("spec: Invalid value: min is above max");
    const name = await refusal(create({ min: 1, max: 1, name: "y" }));
    expect(name.details.causes).toEqual([
      { reason: "FieldValueForbidden", message: "Forbidden: must begin with x-", field: "spec.name" },
    ]);
    await create({ min: 1, max: 2, name: "x-1" });
  });

  it("compares with the old value in transition rules, on updates only", async () => {
    const { create, merge } = await withRules([{ rule: "self.count >= oldSelf.count", message: "count only rises" }], {
      count: { type: "integer" },
      fixed: { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf" }] },
    });
    await create({ count: 5, fixed: "a" });
    const fell = await refusal(merge({ count: 4 }));
    expect(fell.message).toContain("count only rises");
    const changed = await refusal(merge({ fixed: "b" }));
    expect(changed.message).toContain('spec.fixed: Invalid value: "b": failed rule: self == oldSelf');
    await merge({ count: 6 });
  });

  it("reaches items of lists and maps, and correlates map lists by key", async () => {
    const { create, merge } = await withRules([], {
      ports: {
        type: "array",
        maxItems: 10,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        items: {
          type: "object",
          required: ["name"],
          properties: { name: { type: "string" }, port: { type: "integer" } },
          "x-kubernetes-validations": [
            { rule: "self.port > 0", message: "must be positive" },
            { rule: "self.port == oldSelf.port", message: "port is fixed" },
          ],
        },
      },
      labels: {
        type: "object",
        maxProperties: 10,
        additionalProperties: {
          type: "string",
          maxLength: 10,
          "x-kubernetes-validations": [{ rule: "self != ''", message: "no empty value" }],
        },
      },
    });
    const wrong = await refusal(create({ ports: [{ name: "a", port: 0 }], labels: { x: "" } }));
    // A real server visits properties in the random order of a Go map.
    expect(wrong.details.causes?.map((cause) => cause.field).sort()).toEqual(["spec.labels[x]", "spec.ports[0]"]);
    await create({ ports: [{ name: "a", port: 1 }] });
    await merge({
      ports: [
        { name: "b", port: 2 },
        { name: "a", port: 1 },
      ],
    });
    const fixed = await refusal(
      merge({
        ports: [
          { name: "b", port: 3 },
          { name: "a", port: 1 },
        ],
      }),
    );
    expect(fixed.details.causes?.map((cause) => `${cause.field} ${cause.message}`)).toEqual([
      "spec.ports[0] Invalid value: port is fixed",
    ]);
  });

  it("knows the functions Kubernetes adds", async () => {
    const { create } = await withRules(
      [
        { rule: "self.tags.isSorted()", message: "sorted" },
        { rule: "sets.contains(['a', 'b', 'c'], self.tags)", message: "known" },
        { rule: "quantity(self.memory).isLessThan(quantity('1Gi'))", message: "small" },
        { rule: "isURL(self.url) && url(self.url).getScheme() == 'https'", message: "secure" },
        { rule: "self.url.matches('^https?://[a-z.]+(/.*)?$')", message: "plain" },
        { rule: "isIP(self.address) && ip(self.address).family() == 4", message: "v4" },
        { rule: "duration(self.wait) < duration('1h')", message: "soon" },
      ],
      {
        tags: { type: "array", maxItems: 5, items: { type: "string", maxLength: 5 } },
        memory: { type: "string", maxLength: 10 },
        url: { type: "string", maxLength: 50 },
        address: { type: "string", maxLength: 50 },
        wait: { type: "string", maxLength: 10 },
      },
    );
    const good = { tags: ["a", "b"], memory: "512Mi", url: "https://a.example/x", address: "10.0.0.1", wait: "30m" };
    await create(good, "good");
    const messages = async (change: JsonObject) =>
      (await refusal(create({ ...good, ...change }))).details.causes?.map((cause) => cause.message.split(": ").at(-1));
    expect(await messages({ tags: ["b", "a"] })).toEqual(["sorted"]);
    expect(await messages({ tags: ["z"] })).toEqual(["known"]);
    expect(await messages({ memory: "2Gi" })).toEqual(["small"]);
    expect(await messages({ url: "http://a.example" })).toEqual(["secure"]);
    expect(await messages({ url: "https://A-1" })).toEqual(["plain"]);
    expect(await messages({ address: "::1" })).toEqual(["v4"]);
    expect(await messages({ wait: "2h" })).toEqual(["soon"]);
  });

  it("refuses a CRD whose rule does not compile", async () => {
    const error = await refusal(withRules([{ rule: "self.a >" }], { a: { type: "integer" } }));
    expect(error.code).toBe(422);
    expect(error.message).toContain("x-kubernetes-validations[0].rule: Invalid value");
    expect(error.message).toContain("compilation failed");
  });
}
