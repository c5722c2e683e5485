import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Random, integerBetween } from "../../src/base/random.ts";

/** One published version and what it must lead to. */
export interface ModelVersion {
  readonly pack: string;
  /** Minor version: v1.{minor}.0. */
  readonly minor: number;
  readonly targets: readonly string[];
  /** Data of each ConfigMap by name. */
  readonly configs: ReadonlyMap<string, string>;
  /** Names of the Deployments. */
  readonly deployments: readonly string[];
}

const MAX_CONFIGS = 24;

/** Version as it is published. */
export function versionText({ minor }: ModelVersion): string {
  return `v1.${minor}.0`;
}

/** A random version of a pack: other objects than before come, change and go. */
export function randomVersion(random: Random, pack: string, minor: number, targets: readonly string[]): ModelVersion {
  const configs = new Map<string, string>();
  for (let at = 0, count = integerBetween(random, 1, MAX_CONFIGS); at < count; at++)
    configs.set(`item-${integerBetween(random, 0, MAX_CONFIGS)}`, `${pack} ${minor} ${at}`);
  const deployments = ["web", "worker"].filter(() => random.next() < 0.6);
  return { pack, minor, targets, configs, deployments };
}

/** Writes the manifests of a version into a fresh folder. */
export function writeVersion(directory: string, version: ModelVersion): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const { pack: namespace, configs, deployments } = version;
  const objects: unknown[] = [{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }];
  for (const [name, value] of configs)
    objects.push({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data: { value } });
  for (const name of deployments) {
    const labels = { app: name };
    objects.push({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: "main", image: `registry.example.net/${name}:${version.minor}` }] },
        },
      },
    });
  }
  writeFileSync(join(directory, "pack.yaml"), objects.map((object) => stringify(object)).join("---\n"));
}

/** What was published and not deleted; says which version counts where. */
export class PackModel {
  readonly #versions = new Map<string, ModelVersion[]>();

  add(version: ModelVersion): void {
    const versions = this.#versions.get(version.pack) ?? [];
    this.#versions.set(version.pack, [...versions, version]);
  }

  remove(version: ModelVersion): void {
    const versions = this.#versions.get(version.pack) ?? [];
    this.#versions.set(
      version.pack,
      versions.filter((each) => each !== version),
    );
  }

  versions(pack: string): readonly ModelVersion[] {
    return this.#versions.get(pack) ?? [];
  }

  /** The highest version of a pack that names the tenant; undefined when none does. */
  wanted(pack: string, tenant: string): ModelVersion | undefined {
    return this.versions(pack)
      .filter(({ targets }) => targets.includes(tenant))
      .toSorted((a, b) => b.minor - a.minor)[0];
  }
}
