import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { kubeconfigFor } from "../../cluster/serve/kubeconfig.ts";
import type { DevelopmentTrustPaths, TlsFiles } from "../../trust/ca/development-trust-paths.ts";
import type { MeshLayout } from "./layout.ts";
import { MANAGEMENT } from "./process-environment.ts";
import type { MeshSettings } from "./settings.ts";

/** Writes the kubeconfig of a mesh: contexts `management`, `tenant-1`, …; mode 0600, since it holds keys. */
export function writeKubeconfig(layout: MeshLayout, settings: MeshSettings, trust: DevelopmentTrustPaths): void {
  const entry = (name: string, server: string, files: TlsFiles) => ({
    name,
    server,
    caPem: readFileSync(files.ca, "utf8"),
    clientCertPem: readFileSync(files.certificate, "utf8"),
    clientKeyPem: readFileSync(files.key, "utf8"),
  });
  const entries = [entry(MANAGEMENT, settings.api, trust.operator)];
  for (const tenant of settings.tenants) {
    const files = trust.tenants.get(tenant.name);
    if (files !== undefined) entries.push(entry(tenant.name, tenant.api, files.operator));
  }
  writeFileSync(`${layout.kubeconfig}.tmp`, kubeconfigFor(entries), { mode: 0o600 });
  renameSync(`${layout.kubeconfig}.tmp`, layout.kubeconfig);
}
