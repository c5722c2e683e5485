import { resolve } from "node:path";
import { Option } from "commander";
import { tenantNames } from "../../../roles/mesh/mesh.ts";
import { MANAGEMENT } from "../../../roles/mesh/process-environment.ts";
import { UsageError } from "../context.ts";

/** Flags that put real API servers in the place of embedded clusters. */
export interface ExternalClusterOptions {
  readonly managementKubeconfig?: string;
  readonly tenantKubeconfig: readonly string[];
}

/** `--management-kubeconfig`. */
export function managementKubeconfigOption(): Option {
  return new Option(
    "--management-kubeconfig <file>",
    "run management on the API server of this kubeconfig's current context instead of an embedded one",
  );
}

/** `--tenant-kubeconfig`, once for each tenant. */
export function tenantKubeconfigOption(): Option {
  return new Option(
    "--tenant-kubeconfig <[name=]file>",
    "the same for a tenant: the first for tenant-1, the next for tenant-2, or by name; may be repeated",
  )
    .argParser((value: string, before: readonly string[]) => [...before, value])
    .default([], "none");
}

/** `--simulate-nodes`. */
export function simulateNodesOption(): Option {
  return new Option(
    "--simulate-nodes",
    "those API servers have no nodes: stand in for them, so that workloads become ready",
  );
}

/** Kubeconfig of each cluster that has an API server of its own. @throws UsageError for a name no tenant has, or one named twice */
export function kubeconfigsOf(options: ExternalClusterOptions, tenants: number): ReadonlyMap<string, string> {
  const names = tenantNames(tenants);
  const files = new Map<string, string>();
  if (options.managementKubeconfig !== undefined) files.set(MANAGEMENT, resolve(options.managementKubeconfig));
  for (const [at, value] of options.tenantKubeconfig.entries()) {
    const equals = value.indexOf("=");
    const name = equals > 0 ? value.slice(0, equals) : (names[at] ?? `tenant-${at + 1}`);
    if (!names.includes(name))
      throw new UsageError(`--tenant-kubeconfig: ${name} is none of ${names.join(", ")}; see --tenants`);
    if (files.has(name)) throw new UsageError(`--tenant-kubeconfig: ${name} is named twice`);
    files.set(name, resolve(value.slice(equals + 1)));
  }
  return files;
}
