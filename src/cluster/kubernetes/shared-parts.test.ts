import fc from "fast-check";
import { expect, it } from "vitest";
import type { JsonObject } from "../../base/json.ts";
import { SharedParts } from "./shared-parts.ts";

const fieldsV1 = (label: string) => ({ "f:spec": { ".": {}, "f:size": {} }, "f:metadata": { [label]: {} } });
const object = (name: string, label = "f:labels") => ({
  apiVersion: "example.com/v1",
  kind: "Widget",
  metadata: { name, namespace: "bench", managedFields: [{ manager: "m", fieldsV1: fieldsV1(label) }] },
});

it("lets objects share the field sets that are equal", () => {
  const shared = new SharedParts();
  const objects = [object("a"), object("b"), object("c", "f:other"), object("d")];
  for (const each of objects) shared.share(each);
  const [a, b, c, d] = objects.map(({ metadata }) => metadata.managedFields[0]?.fieldsV1);
  expect(b).toBe(a);
  expect(d).toBe(a);
  expect(c).not.toBe(a);
  expect(objects).toEqual([object("a"), object("b"), object("c", "f:other"), object("d")]);
});

it("changes no object", () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const metadata = fc.record(
    { namespace: json, managedFields: fc.oneof(json, fc.array(fc.record({ fieldsV1: json }))) },
    { requiredKeys: [] },
  );
  const any = fc.record({ apiVersion: json, kind: json, metadata: fc.oneof(json, metadata) }, { requiredKeys: [] });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 12 }), (objects) => {
      const plain = JSON.parse(JSON.stringify(objects)) as JsonObject[];
      const shared = new SharedParts();
      for (const each of plain) shared.share(each);
      expect(plain).toEqual(JSON.parse(JSON.stringify(objects)));
    }),
    { numRuns: 200 },
  );
});
