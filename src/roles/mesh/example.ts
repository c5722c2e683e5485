import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { SeamError } from "../../base/errors.ts";
import { isJsonObject } from "../../base/json.ts";
import type { KubeObject, Unstructured } from "../../api/object.ts";
import { parseApiVersion } from "../../api/resource-type.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { openOciLayout } from "../../packs/store/oci-layout.ts";
import { ALL_TENANTS, deliveryName, findDelivery, publishPack } from "../publish-pack.ts";
import type { MeshLayout } from "./layout.ts";
import { createIfAbsent } from "./seed.ts";

/** The example pack of `npm start`; its second version is for the tour. */
export const EXAMPLE_PACK = { name: "hello", version: "v1.0.0" } as const;

/** A directory below `examples/`. */
export function exampleDirectory(...parts: readonly string[]): string {
  return join(fileURLToPath(new URL("../../../examples", import.meta.url)), ...parts);
}

/**
 * Applies the example permissions and publishes the example pack to every tenant of the mesh, also to those of a later `up`. Idempotent;
 * what exists is left as it is, even when this program brings another example.
 */
export async function publishExample(management: Cluster, layout: MeshLayout): Promise<void> {
  for (const object of readManifests(exampleDirectory("permissions"))) await createObject(management, object);
  const known = await findDelivery(management, deliveryName(EXAMPLE_PACK.name, EXAMPLE_PACK.version));
  if (known !== undefined) return;
  const store = await openOciLayout(layout.packs);
  await publishPack(
    { directory: exampleDirectory("packs", "hello", "v1"), ...EXAMPLE_PACK, to: ALL_TENANTS },
    store,
    management,
  );
}

async function createObject(cluster: Cluster, object: KubeObject): Promise<void> {
  const { group, version } = parseApiVersion(object.apiVersion);
  const type = (await cluster.discover()).byKind(group, version, object.kind);
  if (type === undefined) {
    // The starting process installs its CRDs first; the caller tries again.
    throw Object.assign(new Error(`${object.apiVersion} ${object.kind} is not served yet`), { code: 404 });
  }
  await createIfAbsent(cluster, type, { ...object });
}

function readManifests(directory: string): readonly Unstructured[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(".yaml"))
    .sort()
    .flatMap((file) =>
      parseAllDocuments(readFileSync(join(directory, file), "utf8")).map((document) => manifest(document.toJS(), file)),
    );
}

function manifest(value: unknown, file: string): Unstructured {
  const metadata = isJsonObject(value) ? value["metadata"] : undefined;
  if (isJsonObject(value) && isJsonObject(metadata)) {
    const { apiVersion, kind } = value;
    const { name } = metadata;
    if (typeof apiVersion === "string" && typeof kind === "string" && typeof name === "string") {
      return { ...value, apiVersion, kind, metadata: { ...metadata, name } };
    }
  }
  throw new SeamError({
    reason: "ManifestInvalid",
    object: file,
    expected: "must hold objects with apiVersion, kind and metadata.name",
  });
}
