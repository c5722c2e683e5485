import { Namespace } from "../../api/builtin.ts";
import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import { concurrently } from "../apply/concurrently.ts";
import type { ApplyParts, PackApplication } from "../apply/pack-application.ts";
import { ResourceMapper } from "../apply/resource-mapper.ts";
import { identityOf, objectIdentity, objectText, type PackDocument } from "../artifact/pack-object.ts";
import { checkObjectDrift } from "./check-object-drift.ts";

/** One object that differs, as receipts and reports name it. */
export interface DriftedObject {
  readonly resource: DeployedResourceRef;
  readonly change: "Missing" | "Modified" | "NotOwned";
  /** JSON pointers of owned fields that differ. */
  readonly paths: readonly string[];
  readonly lastManager: string;
}

/** Outcome of one check of a pack. */
export interface PackCheck {
  /** Unknown when something could not be read and nothing is known to differ. */
  readonly status: "InSync" | "Drifted" | "Unknown";
  /** Every object that differs, in inventory order. */
  readonly drifted: readonly DriftedObject[];
  /** Why the check is not complete, for people; empty when it is. */
  readonly unreadable: string;
  /** Objects that were looked at. */
  readonly checked: number;
}

/** Parallel reads of one check (conductor §9.4). */
const CHECK_CONCURRENCY = 10;

/**
 * Compares the objects of a pack with the target.
 *
 * @param only identities to look at; absent looks at all
 */
export async function checkPack(
  parts: ApplyParts,
  application: PackApplication,
  documents: readonly PackDocument[],
  inventory: readonly DeployedResourceRef[],
  only?: ReadonlySet<string>,
): Promise<PackCheck> {
  const mapper = new ResourceMapper(parts.cluster);
  const refs = new Map(inventory.map((ref) => [identityOf(ref), ref]));
  const found = new Map<string, DriftedObject>();
  let unreadable = "";
  const chosen = documents.filter((document) => only?.has(objectIdentity(document.object)) !== false);
  await concurrently(
    chosen,
    async (document) => {
      const identity = objectIdentity(document.object);
      const resource = refs.get(identity) ?? refOf(document);
      const drift = await checkObjectDrift(parts, mapper, application, document, resource);
      if (drift.state === "Unknown") unreadable ||= `${objectText(resource)}: ${drift.reason}`;
      if (drift.state === "InSync" || drift.state === "Deferred" || drift.state === "Unknown") return;
      found.set(identity, {
        resource,
        change: drift.state,
        paths: drift.state === "Modified" ? drift.paths : [],
        lastManager: drift.state === "Missing" ? "" : drift.lastManager,
      });
    },
    CHECK_CONCURRENCY,
  );
  const drifted = await withoutTerminating(
    parts,
    chosen.flatMap((document) => found.get(objectIdentity(document.object)) ?? []),
  );
  const status = drifted.length > 0 ? "Drifted" : unreadable === "" ? "InSync" : "Unknown";
  return { status, drifted, unreadable, checked: chosen.length };
}

/** What goes with its namespace is not drift until the namespace is gone (conductor §9.4). */
async function withoutTerminating(
  parts: ApplyParts,
  drifted: readonly DriftedObject[],
): Promise<readonly DriftedObject[]> {
  const namespaces = new Set(drifted.flatMap(({ resource }) => resource.namespace ?? []));
  const terminating = new Set<string>();
  for (const name of namespaces) {
    try {
      const namespace = await parts.cluster.get(Namespace, { name });
      if (namespace.metadata.deletionTimestamp !== undefined) terminating.add(name);
    } catch (error) {
      if (!isStatus(error, "NotFound")) terminating.add(name); // unreadable: nothing is said about its content
    }
  }
  return drifted.filter(({ resource }) => !terminating.has(resource.namespace ?? ""));
}

function refOf(document: PackDocument): DeployedResourceRef {
  const { apiVersion, kind, metadata } = document.object;
  const { name, namespace } = metadata;
  return {
    apiVersion,
    kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    contentHash: document.contentHash,
  };
}

/** Objects a summary names. */
const MAX_NAMED = 20;
/** Longest summary, characters (resources-seam §4.2). */
const MAX_SUMMARY = 4096;

/** A check in words, for receipts and signals. */
export function driftSummary(check: PackCheck): string {
  if (check.status === "Unknown") return `cannot be checked: ${check.unreadable}`.slice(0, MAX_SUMMARY);
  const named = check.drifted.slice(0, MAX_NAMED).map((entry) => `${objectText(entry.resource)} ${changeText(entry)}`);
  if (check.drifted.length > MAX_NAMED) named.push(`and ${check.drifted.length - MAX_NAMED} more`);
  return named.join("; ").slice(0, MAX_SUMMARY);
}

function changeText({ change, paths, lastManager }: DriftedObject): string {
  if (change === "Missing") return "is missing";
  const by = lastManager === "" ? "" : ` (last written by ${lastManager})`;
  if (change === "NotOwned") return `does not belong to the pack any more${by}`;
  return `differs at ${paths.slice(0, 3).join(", ")}${paths.length > 3 ? ", …" : ""}${by}`;
}
