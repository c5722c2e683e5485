import { expect, it } from "vitest";
import { CustomResourceDefinition } from "../../../src/api/builtin.ts";
import type { JsonObject } from "../../../src/base/json.ts";
import { type Harness, refusal, widget } from "../harness.ts";

const GROUP = "refused.conformance.example";

/** Versions and schemas that a CRD may not have, each with the causes of the refusal. */
export function crdValidationCases(h: Harness): void {
  const refused = async (version: JsonObject, spec: JsonObject = {}): Promise<readonly string[]> => {
    const error = await refusal(
      h.cluster().create(CustomResourceDefinition, {
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        metadata: { name: `things.${GROUP}` },
        spec: {
          group: GROUP,
          scope: "Namespaced",
          names: { plural: "things", kind: "Thing" },
          versions: [{ name: "v1", served: true, storage: true, ...version }],
          ...spec,
        },
      } as never),
    );
    expect([error.code, error.reason]).toEqual([422, "Invalid"]);
    return (error.details.causes ?? []).map(
      ({ field, message }) =>
        `${field?.replace("spec.validation.openAPIV3Schema.properties[spec]", "SPEC")}: ${message}`,
    );
  };
  const schema = (spec: JsonObject, root: JsonObject = {}): JsonObject => ({
    schema: { openAPIV3Schema: { type: "object", properties: { spec }, ...root } },
  });
  const rules = (...list: readonly JsonObject[]): JsonObject =>
    schema({
      type: "object",
      properties: { a: { type: "integer" }, s: { type: "string", maxLength: 10 } },
      "x-kubernetes-validations": [...list],
    });
  const rule = "SPEC.x-kubernetes-validations[0]";

  it("refuses rules that give no bool, messages that are no text, unknown reasons and paths", async () => {
    const shown = (fields: JsonObject) =>
      JSON.stringify({
        Rule: "",
        Message: "",
        MessageExpression: "",
        Reason: null,
        FieldPath: "",
        OptionalOldSelf: null,
        ...fields,
      });
    expect(await refused(rules({ rule: "self.a" }))).toEqual([
      `${rule}.rule: Invalid value: ${shown({ Rule: "self.a" })}: cel expression must evaluate to a bool`,
    ]);
    expect(await refused(rules({ rule: "self.a == 1", messageExpression: "1" }))).toEqual([
      `${rule}.messageExpression: Invalid value: ${shown({ Rule: "self.a == 1", MessageExpression: "1" })}: messageExpression must evaluate to a string`,
    ]);
    expect(await refused(rules({ rule: "self.a == 1", message: "x\ny" }))).toEqual([
      `${rule}.message: Invalid value: "x\\ny": must not contain line breaks`,
    ]);
    expect(await refused(rules({ rule: "self.a == 1", reason: "Nope" }))).toEqual([
      `${rule}.reason: Unsupported value: "Nope": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"`,
    ]);
    expect(await refused(rules({ rule: "self.a == 1", fieldPath: ".nope" }))).toEqual([
      `${rule}.fieldPath: Invalid value: ".nope": must be a valid path`,
    ]);
    expect(await refused(rules({ rule: "self.a == 1", optionalOldSelf: true }))).toEqual([
      `${rule}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule`,
    ]);
    expect(await refused(rules({ rule: " " }))).toEqual([`${rule}.rule: Required value: rule is not specified`]);
    const [unknown = ""] = await refused(rules({ rule: "self.nope == 1" }));
    expect(unknown).toMatch(/compilation failed: .*undefined field 'nope'/);
  });

  it("refuses rules whose loops could take for ever, and no others", async () => {
    const cost = async (items: JsonObject, source: string): Promise<string> => {
      const properties = { s: { type: "array", ...items } } as const;
      const spec = { type: "object", properties, "x-kubernetes-validations": [{ rule: source }] } as const;
      const [first = ""] = await refused(schema(spec));
      return first.replace(/ \(try.*/s, "");
    };
    const pairs = "self.s.all(x, self.s.all(y, x != y))";
    const over = `${rule}.rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x`;
    expect(await cost({ items: { type: "string" } }, pairs)).toBe(over);
    expect(
      await cost({ maxItems: 2000, items: { type: "integer" } }, "self.s.all(x, self.s.all(y, self.s.all(z, x != y)))"),
    ).toBe(over);
    const inner = { type: "object", properties: { l: { type: "array", items: { type: "integer" } } } };
    expect(await cost({ items: inner }, "self.s.all(x, x.l.all(y, y > 1))")).toBe(over);
    await h.customResource({
      spec: {
        type: "object",
        properties: {
          s: { type: "array", maxItems: 1000, items: { type: "integer" } },
          t: { type: "array", items: { type: "string" } },
        },
        "x-kubernetes-validations": [{ rule: pairs }, { rule: "self.t.all(x, x != 'a')" }],
      },
    });
  });

  it("refuses defaults that are no values, patterns that match nothing and sets of maps", async () => {
    expect(await refused(schema({ type: "object", properties: { a: { type: "string", default: 1 } } }))).toEqual([
      'SPEC.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer"',
    ]);
    expect(
      await refused(schema({ type: "object", properties: { a: { type: "string", enum: ["x"], default: "y" } } })),
    ).toEqual(['SPEC.properties[a].default: Unsupported value: "y": supported values: "x"']);
    const [pattern = ""] = await refused(
      schema({ type: "object", properties: { a: { type: "string", pattern: "([" } } }),
    );
    expect(pattern).toMatch(
      /^SPEC\.properties\[a\]\.pattern: Invalid value: "\(\[": must be a valid regular expression, but isn't/,
    );
    expect(
      await refused(
        schema({
          type: "object",
          properties: { a: { type: "array", items: { type: "object" }, "x-kubernetes-list-type": "set" } },
        }),
      ),
    ).toEqual([
      "SPEC.properties[a].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
    ]);
    expect(
      await refused({
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: { metadata: { type: "object", properties: { labels: { type: "object" } } } },
          },
        },
      }),
    ).toEqual([
      "spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
    ]);
  });

  it("refuses scale paths, selectable fields and columns that lead nowhere", async () => {
    const plain = schema({ type: "object", properties: { n: { type: "integer" } } });
    expect(
      await refused({
        ...plain,
        subresources: { scale: { specReplicasPath: "spec.replicas", statusReplicasPath: ".spec.n" } },
      }),
    ).toEqual([
      'spec.subresources.scale.specReplicasPath: Invalid value: "spec.replicas": must be a simple json path starting with .',
      'spec.subresources.scale.statusReplicasPath: Invalid value: ".spec.n": should be a json path under .status',
    ]);
    expect(await refused({ ...plain, selectableFields: [{ jsonPath: ".spec.nope" }] })).toEqual([
      'spec.selectableFields[0].jsonPath: Invalid value: ".spec.nope": is an invalid path: does not refer to a valid field',
    ]);
    expect(
      await refused({ ...plain, additionalPrinterColumns: [{ name: "x", type: "weird", jsonPath: "spec" }] }),
    ).toEqual([
      'spec.additionalPrinterColumns[0].type: Invalid value: "weird": must be one of boolean,date,integer,number,string',
      'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with .',
    ]);
  });

  it("refuses conversion without a webhook and unknown fields for all", async () => {
    const plain = schema({ type: "object" });
    expect(await refused(plain, { conversion: { strategy: "Webhook" } })).toEqual([
      "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
      "spec.conversion.conversionReviewVersions: Required value",
    ]);
    expect(await refused(plain, { preserveUnknownFields: true })).toEqual([
      "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
    ]);
  });

  it("says that rules were not evaluated when the object is not of their schema, and why one failed to", async () => {
    const type = await h.customResource({
      spec: {
        type: "object",
        properties: { s: { type: "string", maxLength: 10 }, n: { type: "integer" } },
        "x-kubernetes-validations": [{ rule: "!has(self.s) || int(self.s) < 5" }],
      },
    });
    const namespace = await h.namespace();
    const create = (spec: JsonObject) => refusal(h.cluster().create(type, widget(type, namespace, "w", spec)));
    expect((await create({ s: 5 })).details.causes?.map((cause) => `${cause.field}: ${cause.message}`)).toEqual([
      'spec.s: Invalid value: "integer": spec.s in body must be of type string: "integer"',
      "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
    ]);
    expect((await create({ s: "x" })).message).toBe(
      `Widget.${type.group} "w" is invalid: spec: Invalid value: "object": type conversion error from 'string' to 'int' evaluating rule: !has(self.s) || int(self.s) < 5`,
    );
  });

  it("refuses selectors in the words of the API server", async () => {
    const type = await h.customResource({
      spec: { type: "object", properties: { n: { type: "integer" } } },
      version: { selectableFields: [{ jsonPath: ".spec.n" }] },
    });
    const namespace = await h.namespace();
    const list = async (options: JsonObject) => {
      const error = await refusal(h.cluster().list(type, { namespace, limit: 5, ...options }));
      return `${error.code} ${error.message}`;
    };
    expect(await list({ fieldSelector: "spec.m=1" })).toBe("400 field label not supported: spec.m");
    expect(await list({ fieldSelector: "spec.n" })).toBe("400 invalid selector: 'spec.n'; can't understand 'spec.n'");
    expect(await list({ labelSelector: "a>x" })).toBe(
      "400 unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    );
    expect(await list({ labelSelector: "-a" })).toMatch(
      /^400 unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of alphanumeric characters/,
    );
    await h.cluster().create(type, widget(type, namespace, "one", { n: 1 }));
    await h.cluster().create(type, widget(type, namespace, "two", { n: 2 }));
    const names = async (fieldSelector: string) =>
      (await h.cluster().list(type, { namespace, fieldSelector })).items.map((item) => item.metadata.name);
    expect(await names("spec.n=2")).toEqual(["two"]);
    expect(await names("spec.n!=2,metadata.name=one")).toEqual(["one"]);
  });
}
