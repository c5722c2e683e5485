import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { type KubeconfigEntry, kubeconfigFor } from "../../cluster/serve/kubeconfig.ts";
import type { DevelopmentTrustPaths, TlsFiles } from "../../trust/ca/development-trust-paths.ts";
import type { ExternalCluster } from "./external-cluster.ts";
import type { MeshLayout } from "./layout.ts";
import { MANAGEMENT } from "./process-environment.ts";
import type { MeshSettings } from "./settings.ts";

/**
 * Writes the kubeconfig of a mesh: contexts `management`, `tenant-1`, …; mode 0600, since it holds keys. Each process whose cluster has an
 * API server of its own gets one with that context alone.
 */
export function writeKubeconfig(
  layout: MeshLayout,
  settings: MeshSettings,
  trust: DevelopmentTrustPaths,
  external: ReadonlyMap<string, ExternalCluster>,
): void {
  const entry = (name: string, server: string, files: TlsFiles): KubeconfigEntry =>
    external.get(name) ?? {
      name,
      server,
      caPem: readFileSync(files.ca, "utf8"),
      clientCertPem: readFileSync(files.certificate, "utf8"),
      clientKeyPem: readFileSync(files.key, "utf8"),
    };
  const management = entry(MANAGEMENT, settings.api, trust.operator);
  const entries = [management];
  for (const tenant of settings.tenants) {
    const files = trust.tenants.get(tenant.name);
    if (files !== undefined) entries.push(entry(tenant.name, tenant.api, files.operator));
  }
  write(layout.kubeconfig, kubeconfigFor(entries));
  if (settings.hubReplicas.length > 0) write(layout.hubKubeconfig, kubeconfigFor([management]));
  for (const [name, cluster] of external) write(layout.externalKubeconfig(name), kubeconfigFor([cluster]));
}

function write(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}
