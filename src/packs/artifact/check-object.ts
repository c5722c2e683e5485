import { canonicalJson } from "../../base/canonical-json.ts";
import { errorMessage } from "../../base/errors.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";
import { forbiddenBecause } from "./forbidden.ts";
import { objectText, type PackObject } from "./pack-object.ts";

/** One thing wrong with a manifest, without its place in a file. */
export interface ObjectProblem {
  readonly reason: string;
  readonly text: string;
  readonly remedy: string;
}

/** A well-formed object, or everything wrong with it. */
export type ObjectCheck =
  | { readonly ok: true; readonly object: PackObject; readonly text: string }
  | { readonly ok: false; readonly problems: readonly ObjectProblem[] };

/** Largest single manifest, canonical JSON, bytes: what etcd takes in one request. */
export const MAX_OBJECT_BYTES = 1536 * 1024;

const API_VERSION = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?v[a-z0-9]{1,62}$/;
const KIND = /^[A-Z][A-Za-z0-9]{0,62}$/;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME = 253;

/** Checks what every manifest of a pack must be, wherever it is read: from a person's folder or from an artifact (dispatcher §8.3 step 5). */
export function checkObject(value: JsonValue): ObjectCheck {
  const problems: ObjectProblem[] = [];
  const add = (reason: string, text: string, remedy: string): void => {
    problems.push({ reason, text, remedy });
  };
  if (!isJsonObject(value)) {
    add("NotAnObject", "the document is no mapping", "every document is one Kubernetes object");
    return { ok: false, problems };
  }
  const { apiVersion, kind } = value;
  const metadata: unknown = value["metadata"];
  const meta: JsonObject = isJsonObject(metadata) ? metadata : {};
  const { name, namespace } = meta;
  const who = objectText({
    kind: typeof kind === "string" ? kind : "object",
    namespace: typeof namespace === "string" ? namespace : undefined,
    name: typeof name === "string" ? name : "(unnamed)",
  });
  if (typeof apiVersion !== "string" || !API_VERSION.test(apiVersion))
    add("ApiVersionMissing", `${who}: apiVersion ${found(apiVersion)}`, "set apiVersion, for example v1 or apps/v1");
  if (typeof kind !== "string" || !KIND.test(kind))
    add("KindMissing", `${who}: kind ${found(kind)}`, "set kind, for example ConfigMap");
  if (meta["generateName"] !== undefined)
    add("GenerateName", `${who}: metadata.generateName is set`, "set metadata.name: a pack names its objects");
  else if (typeof name !== "string" || name === "")
    add("NameMissing", `${who}: metadata.name ${found(name)}`, "set metadata.name");
  else if (!isName(name, apiVersion))
    add("NameInvalid", `${who}: metadata.name ${found(name)}`, "use lower-case letters, digits, - and .");
  if (namespace !== undefined && (typeof namespace !== "string" || !NAMESPACE.test(namespace)))
    add("NamespaceInvalid", `${who}: metadata.namespace ${found(namespace)}`, "use a DNS label, or remove the field");
  for (const field of ["labels", "annotations"]) checkStrings(meta[field], `${who}: metadata.${field}`, add);
  if (problems.length > 0) return { ok: false, problems };
  const object = value as unknown as PackObject;
  const forbidden = forbiddenBecause(object);
  if (forbidden) add("Forbidden", `${who}: a pack may not hold ${forbidden}`, "remove it; the platform owns it");
  let text = "";
  try {
    text = canonicalJson(value);
    checkNumbers(value, "", (path, number) => {
      add(
        "NumberUnsafe",
        `${who}: ${path} is ${number}, outside the exact range of JSON numbers`,
        "write it as a string",
      );
    });
  } catch (error) {
    add("NotJson", `${who}: ${errorMessage(error)}`, "keep to what JSON can say");
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_OBJECT_BYTES)
    add(
      "TooLarge",
      `${who}: has ${bytes} bytes, more than ${MAX_OBJECT_BYTES}`,
      "split the object: no cluster stores it",
    );
  return problems.length > 0 ? { ok: false, problems } : { ok: true, object, text };
}

/** Names are DNS subdomains; those of RBAC objects are anything that fits into a path (`system:reader`). */
function isName(name: string, apiVersion: JsonValue | undefined): boolean {
  if (name.length > MAX_NAME) return false;
  if (typeof apiVersion === "string" && apiVersion.startsWith("rbac.authorization.k8s.io/"))
    return name !== "." && name !== ".." && !/[/%\s]/.test(name);
  return SUBDOMAIN.test(name);
}

function found(value: unknown): string {
  if (value === undefined || value === null) return "is missing";
  return `is not valid: ${JSON.stringify(value).slice(0, 80)}`;
}

function checkStrings(
  value: unknown,
  where: string,
  add: (reason: string, text: string, remedy: string) => void,
): void {
  if (value === undefined || value === null) return;
  if (!isJsonObject(value)) {
    add("NotStrings", `${where} is no mapping`, "write key: value lines");
    return;
  }
  for (const [key, member] of Object.entries(value)) {
    if (typeof member !== "string")
      add(
        "NotStrings",
        `${where}[${key}] is ${JSON.stringify(member)}, not a string`,
        `write "${JSON.stringify(member)}" in quotes`,
      );
  }
}

function checkNumbers(value: JsonValue | undefined, path: string, refuse: (path: string, value: number) => void): void {
  if (typeof value === "number") {
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) refuse(path, value);
  } else if (Array.isArray(value)) {
    (value as readonly JsonValue[]).forEach((entry, i) => checkNumbers(entry, `${path}[${i}]`, refuse));
  } else if (isJsonObject(value)) {
    for (const [key, member] of Object.entries(value))
      checkNumbers(member, path === "" ? key : `${path}.${key}`, refuse);
  }
}
