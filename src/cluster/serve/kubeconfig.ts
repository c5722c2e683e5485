import { stringify } from "yaml";

/** One cluster of a kubeconfig: the same name for the cluster, the user and the context. */
export interface KubeconfigEntry {
  readonly name: string;
  /** `https://host:port`. */
  readonly server: string;
  readonly caPem: string;
  readonly clientCertPem: string;
  readonly clientKeyPem: string;
}

/**
 * A kubeconfig (YAML) with one context per entry; the first is the current one. It holds private keys: write it with mode 0600.
 *
 * @throws RangeError without entries
 */
export function kubeconfigFor(entries: readonly KubeconfigEntry[]): string {
  const [first] = entries;
  if (first === undefined) throw new RangeError("a kubeconfig has at least one cluster");
  const base64 = (pem: string): string => Buffer.from(pem, "utf8").toString("base64");
  return stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      "current-context": first.name,
      clusters: entries.map(({ name, server, caPem }) => ({
        name,
        cluster: { server, "certificate-authority-data": base64(caPem) },
      })),
      users: entries.map(({ name, clientCertPem, clientKeyPem }) => ({
        name,
        user: { "client-certificate-data": base64(clientCertPem), "client-key-data": base64(clientKeyPem) },
      })),
      contexts: entries.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
    },
    { lineWidth: 0 },
  );
}
