import { type AnswerCases, casesOf } from "../probe.ts";

/** Values of one member of a custom object's spec, each tried by itself. */
const VALUES: Readonly<Record<string, readonly [string, ...unknown[]]>> = {
  text: ["text", "", "x", 1, true, null, [], {}],
  integer: ["integer", 0, -5, 1.0, 1.5, "1", true, null, 9007199254740991],
  number: ["number", 0, 1.5, -2e10, "1", null],
  flag: ["flag", true, false, "true", 1, null],
  object: ["object", { a: 1 }, {}, { a: "x" }, { a: 1, b: 2 }, [], "x", null],
  list: ["list", [], [1, 2], [1, "x", true], {}, "x", [null]],
  map: ["map", {}, { x: 1 }, { x: "y", z: true }, [], { x: null }],
  "minimum and maximum": ["minimum", 2, 3, 7, 8],
  exclusive: ["exclusive", 0, 0.5, 1],
  multiple: ["multiple", 1.5, 1.25, 0],
  int32: ["int32", 2147483647, 2147483648, -2147483649],
  int64: ["int64", 9007199254740991],
  length: ["length", "a", "ab", "abcd", "abcde", "äöü", "💚"],
  pattern: ["pattern", "abc", "Abc", ""],
  choice: ["choice", "one", "three", ""],
  "items between": ["items", [], ["a"], ["a", "b", "c", "d"]],
  "members between": ["members", {}, { a: "1" }, { a: "1", b: "2", c: "3" }],
  nullable: ["nullable", null, "x", 1],
  "int or string": ["quantity", 1, "50%", 1.5, true, {}],
  open: ["open", { anything: { deep: [1, "x"] } }, "x"],
  "half open": ["half", { known: 1, other: "x" }, { known: "x" }],
  template: [
    "template",
    { apiVersion: "v1", kind: "Pod", metadata: { name: "x" } },
    { kind: "Pod" },
    { apiVersion: "v1", kind: "Pod", metadata: { labels: { "a b": "c" } } },
    { apiVersion: "a/b/c", kind: "pod?" },
  ],
  set: ["set", ["a", "b"], ["a", "a"]],
  keyed: ["keyed", [{ name: "a" }, { name: "b" }], [{ name: "a" }, { name: "a" }], [{ value: 1 }]],
  "one of": ["either", { a: 1 }, { b: 1 }, { a: 1, b: 1 }, {}],
  "any of": ["some", 11, -1, 5],
  "all of": ["all", 3, 0, 6],
  not: ["never", "good", "bad one"],
  "default of an object": ["defaulted", {}, { size: 6 }, { name: "x" }, null],
  "default of a text": ["defaultText", "x", null, ""],
  "rule between members": ["ruled", { low: 1, high: 2 }, { low: 3, high: 2 }, { low: 3 }],
  "rule with its own message": ["ruled", { name: "w-x" }, { name: "x" }, { name: "x", low: 2, high: 1 }],
  "date-time": ["format-date-time", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+02:00", "2026-01-02", "x"],
  date: ["format-date", "2026-01-02", "2026-13-02", "x"],
  duration: ["format-duration", "1h", "5m30s", "2d", "x"],
  email: ["format-email", "a@example.com", "a", "a@b@c"],
  hostname: ["format-hostname", "a.example.com", "a b", "-a"],
  ipv4: ["format-ipv4", "10.0.0.1", "10.0.0.256", "::1"],
  ipv6: ["format-ipv6", "::1", "2001:db8::", "10.0.0.1", "x"],
  uri: ["format-uri", "https://example.com/x?y", "/path", "x y", "::"],
  uuid: ["format-uuid", "11111111-2222-3333-4444-555555555555", "x"],
  byte: ["format-byte", "eA==", "eA", "%%"],
  cidr: ["format-cidr", "10.0.0.0/8", "10.0.0.1", "10.0.0.0/33"],
  mac: ["format-mac", "01:23:45:67:89:ab", "01:23"],
};

const entries = Object.fromEntries(
  Object.entries(VALUES).flatMap(([title, [member, ...values]]) =>
    values.map((value) => [`${title} ${JSON.stringify(value)}`, { [member]: value }]),
  ),
);

/** A value, and what it is changed to: rules that compare with the old one. */
const TRANSITIONS: Readonly<Record<string, readonly [object, object]>> = {
  "fixed stays": [{ fixed: "a" }, { fixed: "a" }],
  "fixed changes": [{ fixed: "a" }, { fixed: "b" }],
  "fixed is removed": [{ fixed: "a" }, {}],
  "growing grows": [{ growing: 1 }, { growing: 2 }],
  "growing shrinks": [{ growing: 2 }, { growing: 1 }],
  "several at once": [
    { growing: 2, fixed: "a" },
    { growing: 1, fixed: "b", text: 5 },
  ],
};

export const schemaCases: AnswerCases = {
  ...casesOf("spec", entries, async (probe, spec) => {
    await probe.create(probe.widget, { metadata: { name: "a" }, spec });
  }),
  ...casesOf("transition", TRANSITIONS, async (probe, [before, after]) => {
    const made = await probe.create(probe.widget, { metadata: { name: "a" }, spec: before });
    await probe.update(probe.widget, { ...made, spec: after });
  }),
  ...casesOf(
    "several errors",
    {
      "of types": { text: 1, integer: "x", list: {} },
      "of bounds": { minimum: 1, length: "a", items: [], choice: "x" },
      "of rules": { ruled: { low: 2, high: 1, name: "x" } },
      "of types and rules": { ruled: { low: "x", high: 1, name: "x" } },
      "in a list": { keyed: [{ name: 1 }, { name: "a", value: "x" }, {}] },
    },
    async (probe, spec) => {
      await probe.create(probe.widget, { metadata: { name: "a" }, spec });
    },
  ),
  ...casesOf(
    "object with",
    {
      "no spec": {},
      "spec null": { spec: null },
      "spec of text": { spec: "x" },
      "spec a list": { spec: [] },
      "status of the wrong type": { spec: {}, status: { replicas: "x" } },
      "another kind": { kind: "Gadget", spec: {} },
      "another version": { apiVersion: "answers.conformance.example/v2", spec: {} },
    },
    async (probe, rest) => {
      await probe.create(probe.widget, { metadata: { name: "a" }, ...rest });
    },
  ),
};
