import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import type { Container, PodObject } from "../../../../api/builtin.ts";
import type { Unstructured } from "../../../../api/object.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../../base/json.ts";
import { collectionId } from "../../resources/served-resource.ts";
import { storageKey } from "../../store/collection.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { PodFolder } from "./pod-folder.ts";

/** Something the pod needs is missing: tried again until it is there, as a kubelet does. The message is for people. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
}

/** What a container is started with. */
export interface PodEnvironment {
  readonly env: Readonly<Record<string, string>>;
  /** Replaces paths below the mount points of the container by those of its files. */
  readonly located: (text: string) => string;
}

/**
 * Environment and files of a pod's container. A program without a container has no mount points of its own: files of its volumes are in the
 * folder of the pod, and an argument or variable that names a path below a mount point gets the real one.
 *
 * @throws NotReadyError
 */
export function podEnvironment(
  store: ObjectStore,
  pod: PodObject,
  container: Container,
  folder: PodFolder,
): PodEnvironment {
  const mounts = mountVolumes(store, pod, container, folder);
  const located = (text: string): string => {
    for (const { mountPath, path } of mounts) {
      if (text === mountPath || text.startsWith(`${mountPath}/`)) return path + text.slice(mountPath.length);
    }
    return text;
  };
  const source = new ObjectValues(store, pod);
  const env: Record<string, string> = {};
  for (const from of objects(container["envFrom"])) {
    const prefix = textOf(from["prefix"]);
    for (const [name, value] of source.all(from)) env[prefix + name] = value;
  }
  for (const variable of objects(container["env"])) {
    const name = textOf(variable["name"]);
    const value = isJsonObject(variable["valueFrom"])
      ? source.one(variable["valueFrom"])
      : expandVariables(textOf(variable["value"]), env);
    if (value !== undefined) env[name] = located(value);
  }
  return { env, located };
}

/** `$(NAME)` of a variable that is known; `$$` is a dollar sign (core/v1 `EnvVar.value`, `Container.args`). */
export function expandVariables(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([-._A-Za-z0-9]+)\)/g, (found, name: string | undefined) => {
    if (name === undefined) return "$";
    return Object.hasOwn(env, name) ? (env[name] ?? "") : found;
  });
}

/** Values from ConfigMaps, Secrets and the pod itself. */
class ObjectValues {
  readonly #store: ObjectStore;
  readonly #pod: PodObject;

  constructor(store: ObjectStore, pod: PodObject) {
    this.#store = store;
    this.#pod = pod;
  }

  /** Entries of `configMapRef` or `secretRef`. */
  all(source: JsonObject): readonly (readonly [string, string])[] {
    const config = source["configMapRef"];
    const secret = source["secretRef"];
    if (isJsonObject(config))
      return [...(this.#data("configmaps", config) ?? [])].map(([name, bytes]) => [name, bytes.toString("utf8")]);
    if (isJsonObject(secret))
      return [...(this.#data("secrets", secret) ?? [])].map(([name, bytes]) => [name, bytes.toString("utf8")]);
    return [];
  }

  one(source: JsonObject): string | undefined {
    const { fieldRef, configMapKeyRef, secretKeyRef } = source;
    if (isJsonObject(fieldRef)) return this.#field(textOf(fieldRef["fieldPath"]));
    for (const [resource, ref] of [
      ["configmaps", configMapKeyRef],
      ["secrets", secretKeyRef],
    ] as const) {
      if (!isJsonObject(ref)) continue;
      const key = textOf(ref["key"]);
      const value = this.#data(resource, ref)?.get(key);
      if (value === undefined && ref["optional"] !== true) {
        throw new NotReadyError(
          `couldn't find key ${key} in ${resource === "secrets" ? "Secret" : "ConfigMap"} ${this.#namespace}/${textOf(ref["name"])}`,
        );
      }
      return value?.toString("utf8");
    }
    return undefined;
  }

  /** Decoded entries of a ConfigMap or Secret; undefined for an optional one that is not there. */
  #data(resource: "configmaps" | "secrets", ref: JsonObject): ReadonlyMap<string, Buffer> | undefined {
    const name = textOf(ref["name"]);
    const data = readData(this.#store, resource, this.#namespace, name);
    if (data || ref["optional"] === true) return data;
    throw new NotReadyError(`${resource === "secrets" ? "secret" : "configmap"} ${JSON.stringify(name)} not found`);
  }

  get #namespace(): string {
    return this.#pod.metadata.namespace ?? "";
  }

  #field(path: string): string {
    const { metadata, spec } = this.#pod;
    const keyed = /^metadata\.(?<map>labels|annotations)\['(?<key>[^']*)'\]$/.exec(path)?.groups;
    if (keyed) return metadata[keyed["map"] === "labels" ? "labels" : "annotations"]?.[keyed["key"] ?? ""] ?? "";
    switch (path) {
      case "metadata.name":
        return metadata.name;
      case "metadata.namespace":
        return metadata.namespace ?? "";
      case "metadata.uid":
        return metadata.uid ?? "";
      case "spec.nodeName":
        return spec.nodeName ?? "";
      case "spec.serviceAccountName":
        return spec.serviceAccountName ?? "default";
      case "status.podIP":
      case "status.hostIP":
        return "127.0.0.1";
      default:
        throw new NotReadyError(`field ${path} is not known to this embedded cluster`);
    }
  }
}

function readData(
  store: ObjectStore,
  resource: "configmaps" | "secrets",
  namespace: string,
  name: string,
): ReadonlyMap<string, Buffer> | undefined {
  const object: Unstructured | undefined = store
    .collection(collectionId("", resource))
    .get(storageKey(namespace, name))?.object;
  if (!object) return undefined;
  const found = new Map<string, Buffer>();
  const read = (member: string, encoding: BufferEncoding): void => {
    const data = object[member] as JsonValue | undefined;
    if (!isJsonObject(data)) return;
    for (const [key, value] of Object.entries(data))
      if (typeof value === "string") found.set(key, Buffer.from(value, encoding));
  };
  read("data", resource === "secrets" ? "base64" : "utf8");
  read("binaryData", "base64");
  return found;
}

interface Mount {
  readonly mountPath: string;
  readonly path: string;
}

function mountVolumes(store: ObjectStore, pod: PodObject, container: Container, folder: PodFolder): readonly Mount[] {
  const volumes = new Map(objects(pod.spec["volumes"]).map((volume) => [textOf(volume["name"]), volume]));
  const mounts = objects(container["volumeMounts"]).map((mount): Mount => {
    const name = textOf(mount["name"]);
    const volume = volumes.get(name) ?? {};
    const path = folder.volume(name);
    fillVolume(store, pod.metadata.namespace ?? "", volume, path);
    const below = textOf(mount["subPath"]);
    return { mountPath: textOf(mount["mountPath"]).replace(/\/+$/, ""), path: below === "" ? path : join(path, below) };
  });
  // The most particular mount point first.
  return mounts.toSorted((a, b) => b.mountPath.length - a.mountPath.length);
}

function fillVolume(store: ObjectStore, namespace: string, volume: JsonObject, path: string): void {
  const { secret, configMap, emptyDir } = volume;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (isJsonObject(secret)) {
    fillFrom(
      readData(store, "secrets", namespace, textOf(secret["secretName"])),
      secret,
      "secret",
      textOf(secret["secretName"]),
      path,
    );
  } else if (isJsonObject(configMap)) {
    fillFrom(
      readData(store, "configmaps", namespace, textOf(configMap["name"])),
      configMap,
      "configmap",
      textOf(configMap["name"]),
      path,
    );
  } else if (!isJsonObject(emptyDir)) {
    const kinds = Object.keys(volume).filter((key) => key !== "name");
    throw new NotReadyError(
      `volume ${JSON.stringify(textOf(volume["name"]))} is of a kind that this embedded cluster has not (${kinds.join(", ") || "unknown"}); it has secret, configMap and emptyDir`,
    );
  }
}

function fillFrom(
  data: ReadonlyMap<string, Buffer> | undefined,
  source: JsonObject,
  kind: string,
  name: string,
  path: string,
): void {
  if (!data) {
    if (source["optional"] === true) return;
    throw new NotReadyError(`${kind} ${JSON.stringify(name)} not found`);
  }
  const items = objects(source["items"]);
  const files =
    items.length === 0
      ? [...data]
      : items.map((item): [string, Buffer] => {
          const key = textOf(item["key"]);
          const value = data.get(key);
          if (!value) throw new NotReadyError(`references non-existent ${kind} key: ${key}`);
          return [textOf(item["path"]), value];
        });
  for (const [file, bytes] of files) {
    const target = normalize(join(path, file));
    if (!target.startsWith(`${path}/`))
      throw new NotReadyError(`file ${JSON.stringify(file)} is outside of its volume`);
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    writeFileSync(target, bytes, { mode: 0o600 });
  }
}

function objects(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]).filter(isJsonObject) : [];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
