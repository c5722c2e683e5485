import type { Clock } from "../base/clock.ts";
import { SeamError } from "../base/errors.ts";
import type { JsonObject } from "../base/json.ts";
import { CustomResourceDefinition, type CustomResourceDefinitionObject } from "../api/builtin.ts";
import { loadCrds } from "../api/kinds/crds.ts";
import type { Cluster } from "../cluster/cluster.ts";

const FIELD_MANAGER = "seam-crds";
/** How often a CRD that is not established yet is looked at. */
const POLL_MS = 50;
/** How long the API server may take to serve a CRD. */
const ESTABLISH_TIMEOUT_MS = 30_000;

/**
 * Installs or upgrades every CRD of the system by server-side apply and waits until all are served. Types come before any operator
 * (SC-INV-003). Idempotent.
 *
 * @throws SeamError `CrdNotEstablished`, ApiStatusError for what the server refuses
 */
export async function installCrds(cluster: Cluster, clock: Clock, signal?: AbortSignal): Promise<void> {
  const applied = await Promise.all(loadCrds().map((crd) => apply(cluster, crd)));
  for (const crd of applied) await established(cluster, crd, clock, signal);
}

function apply(cluster: Cluster, crd: CustomResourceDefinitionObject): Promise<CustomResourceDefinitionObject> {
  return cluster.patch(
    CustomResourceDefinition,
    { name: crd.metadata.name },
    { type: "apply", body: crd as unknown as JsonObject },
    { fieldManager: FIELD_MANAGER, force: true },
  );
}

async function established(
  cluster: Cluster,
  crd: CustomResourceDefinitionObject,
  clock: Clock,
  signal?: AbortSignal,
): Promise<void> {
  const { name } = crd.metadata;
  const deadline = clock.monotonic() + ESTABLISH_TIMEOUT_MS;
  let current = crd;
  while (!isEstablished(current)) {
    if (clock.monotonic() >= deadline)
      throw new SeamError({
        reason: "CrdNotEstablished",
        object: `CustomResourceDefinition ${name}`,
        expected: `served within ${ESTABLISH_TIMEOUT_MS / 1000} s`,
        remedy: `look at its conditions: kubectl describe crd ${name}`,
      });
    await clock.sleep(POLL_MS, signal);
    current = await cluster.get(CustomResourceDefinition, { name });
  }
}

function isEstablished(crd: CustomResourceDefinitionObject): boolean {
  return crd.status?.conditions?.some(({ type, status }) => type === "Established" && status === "True") === true;
}
