import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import type { KubeconfigEntry } from "../../cluster/serve/kubeconfig.ts";

/** An API server that the mesh uses instead of an embedded cluster. */
export type ExternalCluster = Extract<KubeconfigEntry, { readonly user: JsonObject }>;

/** Members of clusters and users that name files, relative to the kubeconfig. */
const FILE_MEMBERS = new Set(["certificate-authority", "client-certificate", "client-key", "tokenFile"]);

/**
 * Cluster and user of a kubeconfig's current context, under the name they have in the mesh; file names become absolute.
 *
 * @throws SeamError `KubeconfigInvalid` naming file and field
 */
export function readExternalCluster(name: string, file: string): ExternalCluster {
  const invalid = (field: string, expected: string): SeamError =>
    new SeamError({
      reason: "KubeconfigInvalid",
      object: file,
      field,
      expected,
      remedy: `name the kubeconfig of the API server for ${name}, with its current-context set`,
    });
  let document: unknown;
  try {
    document = parse(readFileSync(file, "utf8"), { maxAliasCount: 10 });
  } catch (error) {
    throw invalid("", `a readable kubeconfig (${errorMessage(error)})`);
  }
  if (!isJsonObject(document)) throw invalid("", "a kubeconfig");
  const context = named(document["contexts"], document["current-context"], "context");
  if (context === undefined) throw invalid("current-context", "the name of one of its contexts");
  const cluster = named(document["clusters"], context["cluster"], "cluster");
  const server = cluster?.["server"];
  if (cluster === undefined || typeof server !== "string")
    throw invalid("contexts[].context.cluster", "the name of a cluster with a server");
  const user = named(document["users"], context["user"], "user");
  if (user === undefined) throw invalid("contexts[].context.user", "the name of one of its users");
  const folder = dirname(resolve(file));
  return { name, server, cluster: absolute(cluster, folder), user: absolute(user, folder) };
}

/** The member `member` of the entry of that name. */
function named(entries: unknown, name: unknown, member: string): JsonObject | undefined {
  if (!Array.isArray(entries)) return undefined;
  const found = (entries as readonly unknown[]).find((entry) => isJsonObject(entry) && entry["name"] === name);
  const value = isJsonObject(found) ? found[member] : undefined;
  return isJsonObject(value) ? value : undefined;
}

function absolute(object: JsonObject, folder: string): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      key,
      FILE_MEMBERS.has(key) && typeof value === "string" ? resolve(folder, value) : value,
    ]),
  );
}
