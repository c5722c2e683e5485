import { stringify } from "yaml";
import type { JsonObject } from "../../base/json.ts";

/** One cluster of a kubeconfig: the same name for the cluster, the user and the context. By certificate, or as another kubeconfig has it. */
export type KubeconfigEntry = CertificateEntry | CopiedEntry;

interface CertificateEntry {
  readonly name: string;
  /** `https://host:port`. */
  readonly server: string;
  readonly caPem: string;
  readonly clientCertPem: string;
  readonly clientKeyPem: string;
}

interface CopiedEntry {
  readonly name: string;
  readonly server: string;
  /** `clusters[].cluster` and `users[].user` as they stand. */
  readonly cluster: JsonObject;
  readonly user: JsonObject;
}

/**
 * A kubeconfig (YAML) with one context per entry; the first is the current one. It holds private keys: write it with mode 0600.
 *
 * @throws RangeError without entries
 */
export function kubeconfigFor(entries: readonly KubeconfigEntry[]): string {
  const [first] = entries;
  if (first === undefined) throw new RangeError("a kubeconfig has at least one cluster");
  return stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      "current-context": first.name,
      clusters: entries.map((entry) => ({ name: entry.name, cluster: clusterOf(entry) })),
      users: entries.map((entry) => ({ name: entry.name, user: userOf(entry) })),
      contexts: entries.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
    },
    { lineWidth: 0 },
  );
}

function clusterOf(entry: KubeconfigEntry): JsonObject {
  if ("cluster" in entry) return entry.cluster;
  return { server: entry.server, "certificate-authority-data": base64(entry.caPem) };
}

function userOf(entry: KubeconfigEntry): JsonObject {
  if ("user" in entry) return entry.user;
  return {
    "client-certificate-data": base64(entry.clientCertPem),
    "client-key-data": base64(entry.clientKeyPem),
  };
}

function base64(pem: string): string {
  return Buffer.from(pem, "utf8").toString("base64");
}
