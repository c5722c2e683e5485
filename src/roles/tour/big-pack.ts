import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";

/**
 * Writes a pack of many objects, so that a delivery lasts long enough to be interrupted: a namespace, `count` ConfigMaps of about
 * 4 KiB and one Deployment.
 */
export function writeBigPack(directory: string, name: string, count: number): void {
  mkdirSync(directory, { recursive: true });
  const labels = { app: name };
  const objects: unknown[] = [{ apiVersion: "v1", kind: "Namespace", metadata: { name } }];
  for (let at = 0; at < count; at++) {
    objects.push({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: `page-${String(at).padStart(4, "0")}`, namespace: name, labels },
      data: { page: `${at} `.repeat(Math.ceil(4096 / `${at} `.length)) },
    });
  }
  objects.push({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: name },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: "web", image: "registry.example.net/library:1" }] },
      },
    },
  });
  writeFileSync(join(directory, "library.yaml"), objects.map((object) => stringify(object)).join("---\n"));
}
