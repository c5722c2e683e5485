import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Writes `built-in-messages.ts`: the wire numbers and JSON names of the built-in kinds that kubectl sends as protobuf, read from the
 * `types.go` files of the Kubernetes modules. Run by hand when a Kubernetes version is added:
 *
 *     node src/cluster/serve/protobuf/generate.ts <folder of k8s.io/api> <folder of k8s.io/apimachinery>
 */
const [api = "", apimachinery = ""] = process.argv.slice(2);

/** Group version to its folder below k8s.io/api, with the kinds to begin from. */
const ROOTS: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "v1",
    "core/v1",
    [
      "Namespace",
      "ConfigMap",
      "Secret",
      "ServiceAccount",
      "Service",
      "Pod",
      "PodTemplate",
      "Node",
      "Event",
      "Endpoints",
      "ResourceQuota",
      "LimitRange",
      "PersistentVolume",
      "PersistentVolumeClaim",
      "ReplicationController",
    ],
  ],
  ["apps/v1", "apps/v1", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision"]],
  ["batch/v1", "batch/v1", ["Job", "CronJob"]],
  ["networking.k8s.io/v1", "networking/v1", ["Ingress", "IngressClass", "NetworkPolicy"]],
  ["policy/v1", "policy/v1", ["PodDisruptionBudget"]],
  ["autoscaling/v1", "autoscaling/v1", ["Scale"]],
  ["autoscaling/v2", "autoscaling/v2", ["HorizontalPodAutoscaler"]],
  ["rbac.authorization.k8s.io/v1", "rbac/v1", ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]],
  ["scheduling.k8s.io/v1", "scheduling/v1", ["PriorityClass"]],
  ["coordination.k8s.io/v1", "coordination/v1", ["Lease"]],
  ["storage.k8s.io/v1", "storage/v1", ["StorageClass"]],
  [
    "authorization.k8s.io/v1",
    "authorization/v1",
    ["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview", "LocalSubjectAccessReview"],
  ],
  ["authentication.k8s.io/v1", "authentication/v1", ["SelfSubjectReview", "TokenRequest", "TokenReview"]],
];

/** Messages whose JSON form is not that of their members; `decode.ts` knows them by name. */
const SPECIAL: ReadonlyMap<string, string> = new Map([
  ["k8s.io/apimachinery/pkg/apis/meta/v1.Time", "Time"],
  ["k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime", "MicroTime"],
  ["k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1", "Raw"],
  ["k8s.io/apimachinery/pkg/apis/meta/v1.Duration", "Duration"],
  ["k8s.io/apimachinery/pkg/api/resource.Quantity", "Quantity"],
  ["k8s.io/apimachinery/pkg/util/intstr.IntOrString", "IntOrString"],
  ["k8s.io/apimachinery/pkg/runtime.RawExtension", "Raw"],
]);
/** Every type of this package that objects use is a text. */
const TEXT_TYPES = "k8s.io/apimachinery/pkg/types";
const SCALARS: ReadonlyMap<string, string> = new Map([
  ["string", "s"],
  ["bool", "t"],
  ["int32", "i"],
  ["int64", "i"],
  ["uint32", "i"],
  ["uint8", "i"],
  ["byte", "i"],
  ["float64", "d"],
  ["[]byte", "b"],
]);

interface GoField {
  readonly number: number;
  readonly json: string;
  readonly inline: boolean;
  readonly omitsEmpty: boolean;
  readonly type: string;
}

interface GoPackage {
  readonly path: string;
  readonly imports: ReadonlyMap<string, string>;
  readonly structs: ReadonlyMap<string, readonly GoField[]>;
  readonly named: ReadonlyMap<string, string>;
}

const packages = new Map<string, GoPackage>();

function goPackage(path: string): GoPackage {
  const known = packages.get(path);
  if (known !== undefined) return known;
  const folder = path.startsWith("k8s.io/apimachinery/")
    ? join(apimachinery, path.slice("k8s.io/apimachinery/".length))
    : join(api, path.slice("k8s.io/api/".length));
  const source = readFileSync(join(folder, "types.go"), "utf8");
  const imports = new Map<string, string>();
  for (const [, alias, imported = ""] of source.matchAll(/^\t(?:(\w+) )?"([\w./-]+)"$/gm))
    imports.set(alias ?? imported.slice(imported.lastIndexOf("/") + 1), imported);
  const structs = new Map<string, readonly GoField[]>();
  for (const [, name = "", body = ""] of source.matchAll(/^type (\w+) struct \{\n([\s\S]*?)^\}/gm))
    structs.set(name, [...body.matchAll(/^\t(?:\w+ +)?([\w.*[\]]+) +`([^`]*)`/gm)].flatMap(goField));
  const named = new Map<string, string>();
  for (const [, name = "", type = ""] of source.matchAll(/^type (\w+) ((?!struct)[\w.*[\]]+)$/gm))
    named.set(name, type);
  const made = { path, imports, structs, named };
  packages.set(path, made);
  return made;
}

function goField([, type = "", tag = ""]: RegExpMatchArray): readonly GoField[] {
  const number = /protobuf:"\w+,(\d+)/.exec(tag)?.[1];
  const json = /json:"([^"]*)"/.exec(tag)?.[1];
  if (number === undefined || json === undefined) return [];
  const [name = "", ...flags] = json.split(",");
  return [
    {
      number: Number(number),
      json: name,
      inline: flags.includes("inline"),
      omitsEmpty: flags.includes("omitempty") || flags.includes("omitzero"),
      type,
    },
  ];
}

/** The package and name of a Go type as it is written in `at`. */
function resolve(at: GoPackage, type: string): { readonly path: string; readonly name: string } {
  const dot = type.indexOf(".");
  if (dot < 0) return { path: at.path, name: type };
  const path = at.imports.get(type.slice(0, dot));
  if (path === undefined) throw new Error(`${at.path}: no import for ${type}`);
  return { path, name: type.slice(dot + 1) };
}

const ids = new Map<string, string>();
const lines: string[] = [];

/** Type code of a value: a scalar letter, or `.` and the id of a message. */
function codeOf(at: GoPackage, type: string): string {
  const scalar = SCALARS.get(type);
  if (scalar !== undefined) return scalar;
  const { path, name } = resolve(at, type);
  const special = SPECIAL.get(`${path}.${name}`);
  if (special !== undefined) return `.${special}`;
  if (path === TEXT_TYPES) return "s";
  const owner = goPackage(path);
  const underlying = owner.named.get(name);
  // A named list inside a map travels as a message with `items`.
  if (underlying !== undefined) return underlying.startsWith("[]string") ? ".Items" : codeOf(owner, underlying);
  return `.${message(owner, name)}`;
}

function fieldCode(at: GoPackage, written: string): string {
  let type = written;
  let prefix = "";
  if (type.startsWith("*")) [prefix, type] = ["*", type.slice(1)];
  if (!SCALARS.has(type) && !type.includes(".") && !type.startsWith("[") && !type.startsWith("map")) {
    const underlying = at.named.get(type);
    if (underlying !== undefined && /^(map|\[\])/.test(underlying)) type = underlying;
  } else if (type.includes(".") && !/^(map|\[\])/.test(type)) {
    const { path, name } = resolve(at, type);
    const underlying =
      SPECIAL.has(`${path}.${name}`) || path === TEXT_TYPES ? undefined : goPackage(path).named.get(name);
    if (underlying !== undefined && /^(map|\[\])/.test(underlying)) return fieldCode(goPackage(path), underlying);
  }
  if (type === "[]byte") return `${prefix}b`;
  if (type.startsWith("[]")) return `[]${codeOf(at, type.slice(2).replace(/^\*/, ""))}`;
  const map = /^map\[[\w.]+\](.+)$/.exec(type);
  return map === null ? prefix + codeOf(at, type) : `{}${codeOf(at, map[1] ?? "")}`;
}

/** Adds a message and everything it holds; answers with its id. */
function message(at: GoPackage, name: string): string {
  const key = `${at.path}.${name}`;
  const known = ids.get(key);
  if (known !== undefined) return known;
  const fields = at.structs.get(name);
  if (fields === undefined) throw new Error(`no struct ${key}`);
  const id = `${at.path.split("/").slice(-2).join("")}${name}`;
  ids.set(key, id);
  const text = fields.map((field) => {
    const flag = field.inline || field.json === "" ? "=" : field.omitsEmpty ? "" : "!";
    return `${field.number}${flag}${field.json}:${fieldCode(at, field.type)}`;
  });
  lines.push(`${id} ${text.join(" ")}`);
  return id;
}

const roots: string[] = [];
for (const [apiVersion, folder, kinds] of ROOTS)
  for (const kind of kinds) roots.push(`${apiVersion}/${kind} ${message(goPackage(`k8s.io/api/${folder}`), kind)}`);
roots.push(`v1/DeleteOptions ${message(goPackage("k8s.io/apimachinery/pkg/apis/meta/v1"), "DeleteOptions")}`);

writeFileSync(
  fileURLToPath(new URL("../../built-in-messages.ts", import.meta.url)),
  `// Written by generate.ts; not by hand.

/** \`apiVersion/kind\` and the message of it, one per line. */
export const ROOTS = \`
${roots.join("\n")}
\`;

/**
 * One message per line: its id, then \`number[flag]name:type\` per field. Flags: \`=\` inlined in JSON, \`!\` present even when empty.
 * Types: s text, b bytes, i integer, t boolean, d double, \`.id\` message; \`*\` pointer, \`[]\` list, \`{}\` map from text.
 */
export const MESSAGES = \`
${lines.sort().join("\n")}
\`;
`,
);
