import { PackDelivery } from "../api/kinds/pack-delivery.ts";
import { TalosCluster } from "../api/kinds/talos-cluster.ts";
import { MAX_PACK_NAME, NAMESPACES } from "../api/names.ts";
import { SeamError } from "../base/errors.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { ifPresent } from "../cluster/if-present.ts";
import { type BuiltPack, buildPack } from "../packs/artifact/build-pack.ts";
import type { PackBlobStore } from "../packs/store/pack-blob-store.ts";
import { writePack, writtenPack } from "../packs/store/write-pack.ts";

/** What a person says when publishing a pack. */
export interface PublishRequest {
  /** Directory of manifests. */
  readonly directory: string;
  /** Base pack name: the same across versions. */
  readonly name: string;
  readonly version: string;
  /** Clusters it is for, at least one; or every tenant of the mesh, also one that joins later. */
  readonly to: readonly string[] | typeof ALL_TENANTS;
}

/** `--to all`. */
export const ALL_TENANTS = "all";

/** Label of the TalosCluster of every tenant of a mesh, which `--to all` selects. */
export const MESH_TENANT_LABELS = { "seam.ontai.dev/mesh": "local" } as const;

/** What was published. */
export interface PublishedPack {
  readonly delivery: PackDelivery;
  readonly pack: BuiltPack;
  /** False when the same content had been published under this name and version before. */
  readonly created: boolean;
}

/** Repository part of a pack's reference in the embedded store. */
export const EMBEDDED_REGISTRY = "packs.local";

/** Name of the PackDelivery of one version: `{name}-{version}` as a DNS name. */
export function deliveryName(name: string, version: string): string {
  return `${name}-${version.toLowerCase().replaceAll(/[^a-z0-9.-]+/g, "-")}`;
}

/**
 * Builds a pack, stores its blobs and registers its PackDelivery, in that order: a delivery never names blobs that are not there, and
 * invalid sources or a taken version store nothing. Publishing the same content again changes nothing.
 *
 * @throws PackInvalid with every problem of the sources
 * @throws SeamError `PackVersionExists` when the version is taken by other content, `PackTargets` for a cluster nobody registered, `PackName`
 */
export async function publishPack(
  request: PublishRequest,
  store: PackBlobStore,
  management: Cluster,
): Promise<PublishedPack> {
  requireNames(request);
  const name = deliveryName(request.name, request.version);
  if (name.length > MAX_PACK_NAME) {
    throw new SeamError({
      reason: "PackName",
      object: `pack ${request.name} ${request.version}`,
      expected: `name and version together must be at most ${MAX_PACK_NAME - 1} characters, found ${name.length - 1}`,
      remedy: "shorten --name or --version",
    });
  }
  const targets = await targetsOf(request.to, management);
  const pack = await buildPack(request.directory);
  const existing = await findDelivery(management, name);
  if (existing !== undefined) {
    requireSame(existing, pack, targets);
    return { delivery: existing, pack, created: false };
  }
  const repository = `${EMBEDDED_REGISTRY}/${request.name}`;
  const draft = {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackDelivery",
    metadata: { name, namespace: NAMESPACES.seam },
    spec: { basePackName: request.name, version: request.version, ...writtenPack(repository, pack), ...targets },
  } as const;
  const options = { fieldManager: "seamctl" };
  // What the API refuses it refuses here, while nothing is stored yet.
  await management.create(PackDelivery, draft, { ...options, dryRun: true });
  await writePack(store, repository, request.version, pack);
  const delivery = await management.create(PackDelivery, draft, options);
  return { delivery, pack, created: true };
}

type Targets = Pick<PackDelivery["spec"], "targetClusters" | "targetClusterSelector">;

async function targetsOf(to: PublishRequest["to"], management: Cluster): Promise<Targets> {
  if (to === ALL_TENANTS) return { targetClusterSelector: { matchLabels: { ...MESH_TENANT_LABELS } } };
  const fault = { reason: "PackTargets", object: "flag --to" };
  if (to.length === 0) throw new SeamError({ ...fault, expected: "must name at least one cluster" });
  const known = new Set<string>();
  for (const cluster of (await management.list(TalosCluster, {})).items)
    if (cluster.spec.role !== "management") known.add(cluster.metadata.name);
  const unknown = to.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new SeamError({
      ...fault,
      expected: `must name registered tenants, found ${unknown.join(", ")}`,
      remedy: "list them with: seamctl agents",
    });
  }
  return { targetClusters: [...to] };
}

const BASE_PACK_NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
/** What a tag of the store and a name of an object can be made of. */
const VERSION = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

function requireNames({ name, version }: PublishRequest): void {
  if (!BASE_PACK_NAME.test(name))
    throw new SeamError({
      reason: "PackName",
      object: "flag --name",
      expected: `must be of lower-case letters, digits, - and ., found ${JSON.stringify(name)}`,
      remedy: "choose a simpler name, for example web-frontend",
    });
  if (!VERSION.test(version))
    throw new SeamError({
      reason: "PackVersion",
      object: "flag --version",
      expected: `must be of letters, digits, ., _ and -, at most 64, found ${JSON.stringify(version)}`,
      remedy: "use a semantic version, for example v1.2.0",
    });
}

/** The PackDelivery of that name, undefined when there is none. */
export async function findDelivery(management: Cluster, name: string): Promise<PackDelivery | undefined> {
  return ifPresent(management.get(PackDelivery, { namespace: NAMESPACES.seam, name }));
}

function requireSame(existing: PackDelivery, pack: BuiltPack, targets: Targets): void {
  const form = ({ targetClusters, targetClusterSelector }: Targets): string =>
    JSON.stringify([[...(targetClusters ?? [])].sort(), targetClusterSelector]);
  const sameTargets = form(existing.spec) === form(targets);
  if (existing.spec.registryRef.digest === pack.index.digest && sameTargets) return;
  throw new SeamError({
    reason: "PackVersionExists",
    object: `PackDelivery ${NAMESPACES.seam}/${existing.metadata.name}`,
    expected: "is immutable and exists with other content or targets",
    remedy: "publish under a new --version",
  });
}
