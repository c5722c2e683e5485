import { isMap, type Json, jsonEqual, type JsonMap, member, memberMap, memberText } from "../../json/mutable-json.ts";
import { badRequest, type FieldError, forbiddenField, invalidValue, required, tooLong } from "../../status-errors.ts";
import type { KindRules } from "../served-resource.ts";

/** Sum of all values (core `MaxSecretSize`). */
const MAX_DATA_BYTES = 1024 * 1024;
const KEY = /^[-._a-zA-Z0-9]+$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function checkKeys(map: JsonMap | undefined, path: string, errors: FieldError[]): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(map ?? {})) {
    if (!KEY.test(key) || key.length > 253 || key === "." || key === "..") {
      errors.push(
        invalidValue(
          `${path}[${key}]`,
          key,
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        ),
      );
    }
    if (typeof value === "string") bytes += Buffer.byteLength(value);
  }
  return bytes;
}

/** Bytes are decoded before anything is validated: what is not base64 is no object of the kind at all. @throws ApiStatusError 400 */
function checkBase64(map: JsonMap | undefined, kind: string): void {
  for (const value of Object.values(map ?? {})) {
    if (typeof value !== "string" || BASE64.test(value)) continue;
    const wrong = value.search(/[^A-Za-z0-9+/]/);
    throw badRequest(
      `${kind} in version "v1" cannot be handled as a ${kind}: illegal base64 data at input byte ${wrong < 0 ? value.length : wrong}`,
    );
  }
}

function checkImmutable(object: JsonMap, old: JsonMap | undefined, fields: readonly string[]): FieldError[] {
  if (old?.["immutable"] !== true) return [];
  const errors: FieldError[] = [];
  if (object["immutable"] !== true)
    errors.push(forbiddenField("immutable", "field is immutable when `immutable` is set"));
  for (const field of fields) {
    if (!jsonEqual(member(object, field) ?? {}, member(old, field) ?? {})) {
      errors.push(forbiddenField(field, "field is immutable when `immutable` is set"));
    }
  }
  return errors;
}

export const configMapRules: KindRules = {
  validate(object, old) {
    const errors: FieldError[] = [];
    const data = memberMap(object, "data");
    const binary = memberMap(object, "binaryData");
    const bytes = checkKeys(data, "data", errors) + checkKeys(binary, "binaryData", errors);
    checkBase64(binary, "ConfigMap");
    for (const key of Object.keys(binary ?? {})) {
      if (data && Object.hasOwn(data, key)) {
        errors.push(invalidValue(`data[${key}]`, key, "duplicate of key present in binaryData"));
      }
    }
    if (bytes > MAX_DATA_BYTES) errors.push(tooLong("", MAX_DATA_BYTES));
    errors.push(...checkImmutable(object, old, ["data", "binaryData"]));
    return errors;
  },
};

/** Keys a Secret of a known type must have. */
const REQUIRED_KEYS: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
};

function foldStringData(object: JsonMap): void {
  const plain = memberMap(object, "stringData");
  if (plain) {
    const data: JsonMap = { ...memberMap(object, "data") };
    for (const [key, value] of Object.entries(plain)) {
      if (typeof value === "string") data[key] = Buffer.from(value).toString("base64");
    }
    object["data"] = data;
  }
  delete object["stringData"];
  object["type"] ??= "Opaque";
}

const ACCOUNT_NAME = "kubernetes.io/service-account.name";

/** What Secrets of known types hold beyond their keys. */
function checkSecretType(object: JsonMap, data: JsonMap | undefined, type: Json | undefined): FieldError[] {
  if (type === "kubernetes.io/service-account-token") {
    const annotations = memberMap(memberMap(object, "metadata") ?? {}, "annotations") ?? {};
    return memberText(annotations, ACCOUNT_NAME) === "" ? [required(`metadata.annotations[${ACCOUNT_NAME}]`)] : [];
  }
  if (type === "kubernetes.io/basic-auth" && ["username", "password"].every((key) => data?.[key] === undefined)) {
    return [required("data[username]"), required("data[password]")];
  }
  const key =
    type === "kubernetes.io/dockerconfigjson"
      ? ".dockerconfigjson"
      : type === "kubernetes.io/dockercfg"
        ? ".dockercfg"
        : undefined;
  const value = key === undefined ? undefined : data?.[key];
  if (key === undefined || typeof value !== "string") return [];
  try {
    JSON.parse(Buffer.from(value, "base64").toString("utf8"));
    return [];
  } catch {
    return [invalidValue(`data[${key}]`, "<secret contents redacted>", "must be JSON")];
  }
}

export const secretRules: KindRules = {
  applyDefaults: foldStringData,
  validate(object, old) {
    const errors: FieldError[] = [];
    const data = memberMap(object, "data");
    const bytes = checkKeys(data, "data", errors);
    checkBase64(data, "Secret");
    if ((bytes * 3) / 4 > MAX_DATA_BYTES) errors.push(tooLong("data", MAX_DATA_BYTES));
    const type = member(object, "type");
    if (typeof type === "string" && Object.hasOwn(REQUIRED_KEYS, type)) {
      for (const key of REQUIRED_KEYS[type] ?? []) {
        if (!isMap(data) || !Object.hasOwn(data, key)) errors.push(required(`data[${key}]`));
      }
    }
    errors.push(...checkSecretType(object, data, type));
    if (old && member(old, "type") !== type) errors.push(invalidValue("type", type, "field is immutable"));
    errors.push(...checkImmutable(object, old, ["data"]));
    return errors;
  },
};
