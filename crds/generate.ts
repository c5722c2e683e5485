import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { load } from "js-yaml";

/**
 * Writes `src/api/kinds/*.ts` from the CRDs of this folder (`npm run generate`): one file per kind with its interfaces and its
 * ResourceType constant, and one file per schema that carries a `title` and is used by several kinds. The output is formatted by
 * oxfmt afterwards. A test fails when the committed files differ.
 */

/** The part of a structural schema that becomes TypeScript. */
interface Schema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly (string | number)[];
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
}

/** The part of a CustomResourceDefinition that the generator reads. */
interface Definition {
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly {
      readonly name: string;
      readonly storage: boolean;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

const HEADER = "// Generated from crds/ by `npm run generate`. Do not edit.\n";

function kebab(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, "$1-$2")
    .toLowerCase();
}

function pascal(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

/** Text of a schema without its descriptions, to compare two uses of one title. */
function shape(schema: Schema): string {
  return JSON.stringify(schema, (key, value: unknown) =>
    key === "description" && typeof value === "string" ? undefined : value,
  );
}

function titlesOf(schema: Schema, found: Map<string, Schema>): void {
  if (schema.title !== undefined && schema.properties !== undefined) {
    const other = found.get(schema.title);
    if (other !== undefined && shape(other) !== shape(schema))
      throw new Error(`two different schemas carry the title ${schema.title}`);
    if (other === undefined) found.set(schema.title, schema);
  }
  for (const child of Object.values(schema.properties ?? {})) titlesOf(child, found);
  if (schema.items !== undefined) titlesOf(schema.items, found);
  if (schema.additionalProperties !== undefined) titlesOf(schema.additionalProperties, found);
}

/** One output file: interfaces in the order they were met, and what they import. */
class FileWriter {
  readonly interfaces: string[] = [];
  readonly imports = new Map<string, Set<string>>();
  readonly #written = new Set<string>();
  readonly #shared: ReadonlyMap<string, Schema>;
  readonly #own: string | undefined;

  constructor(shared: ReadonlyMap<string, Schema>, own?: string) {
    this.#shared = shared;
    this.#own = own;
  }

  import(name: string, from: string): void {
    const names = this.imports.get(from) ?? new Set<string>();
    names.add(name);
    this.imports.set(from, names);
  }

  typeOf(schema: Schema, name: string): string {
    if (schema["x-kubernetes-preserve-unknown-fields"] === true) {
      this.import("JsonObject", "../../base/json.ts");
      return "JsonObject";
    }
    if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
    switch (schema.type) {
      case "string":
        return "string";
      case "integer":
      case "number":
        return "number";
      case "boolean":
        return "boolean";
      case "array": {
        if (schema.items === undefined) throw new Error(`${name}: an array needs items`);
        const item = this.typeOf(schema.items, `${name}Item`);
        return item.includes("|") ? `readonly (${item})[]` : `readonly ${item}[]`;
      }
      case "object":
        break;
      default:
        throw new Error(`${name}: unknown type ${String(schema.type)}`);
    }
    if (schema.additionalProperties !== undefined)
      return `Readonly<Record<string, ${this.typeOf(schema.additionalProperties, `${name}Value`)}>>`;
    if (schema.properties === undefined) return "Readonly<Record<string, never>>";
    const title = schema.title;
    if (title !== undefined && title !== this.#own && this.#shared.has(title)) {
      this.import(title, `./${kebab(title)}.ts`);
      return title;
    }
    this.interface(schema, title ?? name);
    return title ?? name;
  }

  interface(schema: Schema, name: string): void {
    if (this.#written.has(name)) return;
    this.#written.add(name);
    const position = this.interfaces.push("") - 1;
    this.interfaces[position] = [
      docComment(schema.description),
      `export interface ${name} {`,
      ...this.members(schema, name),
      "}",
    ].join("\n");
  }

  members(schema: Schema, name: string): string[] {
    return Object.entries(schema.properties ?? {}).flatMap(([field, child]) => {
      const optional = schema.required?.includes(field) === true ? "" : "?";
      return [
        docComment(child.description),
        `readonly ${propertyName(field)}${optional}: ${this.typeOf(child, name + pascal(field))};`,
      ];
    });
  }

  text(tail = ""): string {
    const imports = [...this.imports]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([from, names]) => `import type { ${[...names].toSorted().join(", ")} } from "${from}";`);
    return `${[HEADER + imports.join("\n"), tail, ...this.interfaces].filter((part) => part !== "").join("\n\n")}\n`;
  }
}

function docComment(description: string | undefined): string {
  if (description === undefined) throw new Error("every field has a description");
  return `/** ${description.replaceAll("*/", "*\\/")} */`;
}

function kindFile(definition: Definition, shared: ReadonlyMap<string, Schema>): string {
  const { group, names, scope, versions } = definition.spec;
  const version = versions.find((candidate) => candidate.storage);
  if (version === undefined) throw new Error(`${names.kind}: no storage version`);
  const root = version.schema.openAPIV3Schema;
  const { spec, status } = root.properties ?? {};
  const file = new FileWriter(shared);
  file.import("KubeObject", "../object.ts");
  file.import("ResourceType", "../resource-type.ts");
  const body = [
    docComment(root.description),
    `export interface ${names.kind} extends KubeObject {`,
    `readonly apiVersion: "${group}/${version.name}";`,
    `readonly kind: "${names.kind}";`,
  ];
  if (spec !== undefined) body.push(docComment(spec.description), `readonly spec: ${names.kind}Spec;`);
  if (status !== undefined) body.push(docComment(status.description), `readonly status?: ${names.kind}Status;`);
  body.push(
    "}",
    "",
    `/** The served resource of {@link ${names.kind}}. */`,
    `export const ${names.kind}: ResourceType<${names.kind}> = {`,
    `group: "${group}", version: "${version.name}", resource: "${names.plural}", kind: "${names.kind}",`,
    `namespaced: ${scope === "Namespaced"},`,
    "};",
  );
  if (spec !== undefined) file.interface(spec, `${names.kind}Spec`);
  if (status !== undefined) file.interface(status, `${names.kind}Status`);
  return file.text(body.join("\n"));
}

/** File name to text for every kind and shared type found in `folder`; unformatted. */
export function generateKinds(folder: string): Map<string, string> {
  const definitions = readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .toSorted()
    .map((name) => load(readFileSync(join(folder, name), "utf8")) as Definition);
  const uses = new Map<string, number>();
  const titles = new Map<string, Schema>();
  for (const definition of definitions) {
    const own = new Map<string, Schema>();
    for (const version of definition.spec.versions) titlesOf(version.schema.openAPIV3Schema, own);
    for (const [title, schema] of own) {
      uses.set(title, (uses.get(title) ?? 0) + 1);
      titlesOf(schema, titles);
    }
  }
  const shared = new Map([...titles].filter(([title]) => (uses.get(title) ?? 0) > 1));
  const files = new Map<string, string>();
  for (const [title, schema] of shared) {
    const file = new FileWriter(shared, title);
    file.interface(schema, title);
    files.set(`${kebab(title)}.ts`, file.text());
  }
  for (const definition of definitions)
    files.set(`${kebab(definition.spec.names.kind)}.ts`, kindFile(definition, shared));
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const here = dirname(fileURLToPath(import.meta.url));
  const target = join(here, "../src/api/kinds");
  mkdirSync(target, { recursive: true });
  for (const [name, text] of generateKinds(here)) writeFileSync(join(target, name), text);
}
