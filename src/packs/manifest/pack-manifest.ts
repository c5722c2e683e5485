import type { ExecutionStage } from "../../api/kinds/execution-stage.ts";
import type { LifecyclePolicies } from "../../api/kinds/lifecycle-policies.ts";
import { canonicalJson, parseCanonicalJson } from "../../base/canonical-json.ts";
import { SeamError } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import { readLifecyclePolicies, withoutUndefined } from "./lifecycle-policies.ts";
import { StrictObject } from "./strict-object.ts";

/**
 * The signed pack manifest (conductor §7.1): what a tenant is told about one PackInstalled. Signed as payload type `pack-installed`
 * over its canonical JSON; everything the agent needs to fetch, check, apply and later remove the pack is inside.
 */
export interface PackManifest {
  /** Of the PackInstalled on the management cluster. */
  readonly apiVersion: string;
  readonly kind: "PackInstalled";
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** PackDelivery name. */
  readonly clusterPackRef: string;
  /** PackDelivery namespace; drift reports name the governed object by it. */
  readonly clusterPackNamespace: string;
  readonly version: string;
  /** Cluster id; an agent refuses any other than its own. */
  readonly targetClusterRef: string;
  /** Only rises for one PackInstalled. */
  readonly serial: number;
  /** RFC 3339. */
  readonly issuedAt: string;
  readonly artifact: PackArtifactRef;
  /** Stages as the PackDelivery declares them (dispatcher §8.4). */
  readonly executionOrder?: readonly ExecutionStage[];
  /** Budget for apply and readiness, seconds; default 1800. */
  readonly deployTimeoutSeconds?: number;
  /** Helm packs only, informational. */
  readonly chart?: ChartRef;
  /** What the artifact holds, with content hashes; equals the artifact or the manifest is refused. */
  readonly deployedResources: readonly ManifestResource[];
  readonly lifecyclePolicies: LifecyclePolicies;
  /** What this one replaces. */
  readonly supersedes?: { readonly serial: number; readonly version: string };
  /** Always false here: removal has its own body, see {@link file://./tombstone.ts}. */
  readonly tombstone: false;
}

/** Digests of an artifact (dispatcher §7.2). */
export interface PackArtifactRef {
  /** Repository without scheme, tag or digest. */
  readonly registryUrl: string;
  /** Digest of the rbac bucket's OCI manifest. */
  readonly rbacDigest: string;
  /** Absent when the bucket is empty. */
  readonly clusterScopedDigest?: string;
  readonly workloadDigest: string;
  /** `sha256:` + hex over the layer list. */
  readonly checksum: string;
}

/** Stages in canonical order (dispatcher §7.3). */
export const STAGES = ["rbac", "storage", "stateful", "stateless"] as const;

/** One of {@link STAGES}. */
export type StageName = (typeof STAGES)[number];

/** Helm chart a pack was rendered from. */
export interface ChartRef {
  readonly name: string;
  readonly url?: string;
  readonly version?: string;
  readonly helmVersion?: string;
}

/** One object of the pack as the manifest names it. */
export interface ManifestResource {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent for cluster-scoped objects. */
  readonly namespace?: string;
  readonly name: string;
  /** `sha256:` of the canonical manifest of the object. */
  readonly specHash: string;
}

/** Most objects of one pack (dispatcher §7.2). */
export const MAX_PACK_OBJECTS = 5000;
/** Largest canonical body of a pack manifest, bytes. */
export const MAX_PACK_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Largest envelope of one, JSON form, bytes: the body in base64 with its signatures. */
export const MAX_SIGNED_MANIFEST_BYTES = 6 * 1024 * 1024;

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
const DNS_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const WHAT = "pack manifest";

/** Canonical body of a manifest: the bytes that are signed. @throws SeamError when it breaks its own format */
export function encodePackManifest(manifest: PackManifest): Uint8Array {
  const body = Buffer.from(canonicalJson(manifest as unknown as JsonObject));
  parsePackManifest(body); // a signer must never sign what no agent accepts
  return body;
}

/** Parses exactly the bytes that were verified. @throws SeamError `NotCanonical`, `BodyInvalid`, `TooLarge` */
export function parsePackManifest(body: Uint8Array): PackManifest {
  if (body.length > MAX_PACK_MANIFEST_BYTES)
    throw new SeamError({
      reason: "TooLarge",
      object: WHAT,
      expected: `has at most ${MAX_PACK_MANIFEST_BYTES} bytes, found ${body.length}`,
    });
  const from = new StrictObject(parseCanonicalJson(body), WHAT);
  const artifact = from.object("artifact");
  const chart = from.optionalObject("chart");
  const supersedes = from.optionalObject("supersedes");
  const manifest = {
    apiVersion: from.text("apiVersion", { pattern: /^seam\.ontai\.dev\/v1alpha1$/ }),
    kind: from.choice("kind", ["PackInstalled"]),
    namespace: from.text("namespace", { pattern: DNS_LABEL }),
    name: from.text("name", { pattern: DNS_NAME }),
    uid: from.text("uid", { max: 128 }),
    clusterPackRef: from.text("clusterPackRef", { pattern: DNS_NAME }),
    clusterPackNamespace: from.text("clusterPackNamespace", { pattern: DNS_LABEL }),
    version: from.text("version", { max: 64 }),
    targetClusterRef: from.text("targetClusterRef", { pattern: DNS_NAME }),
    serial: from.integer("serial", 1),
    issuedAt: from.text("issuedAt", { pattern: RFC3339 }),
    artifact: withoutUndefined({
      registryUrl: artifact.text("registryUrl", { max: 512 }),
      rbacDigest: artifact.text("rbacDigest", { pattern: DIGEST }),
      clusterScopedDigest: artifact.optionalText("clusterScopedDigest", { pattern: DIGEST }),
      workloadDigest: artifact.text("workloadDigest", { pattern: DIGEST }),
      checksum: artifact.text("checksum", { pattern: DIGEST }),
    }),
    executionOrder: readStages(from),
    deployTimeoutSeconds: from.optionalInteger("deployTimeoutSeconds", 1, 14_400),
    chart: chart && readChart(chart),
    deployedResources: readResources(from),
    lifecyclePolicies: readLifecyclePolicies(from.object("lifecyclePolicies")),
    supersedes: supersedes && {
      serial: supersedes.integer("serial"),
      version: supersedes.text("version", { max: 64 }),
    },
    tombstone: from.boolean("tombstone"),
  };
  artifact.end();
  supersedes?.end();
  from.end();
  if (manifest.tombstone)
    throw new SeamError({
      reason: "BodyInvalid",
      object: WHAT,
      field: "tombstone",
      expected: "is false; removal is said by a Tombstone/v1 body",
    });
  return withoutUndefined(manifest) as PackManifest;
}

function readStages(from: StrictObject): readonly ExecutionStage[] | undefined {
  const stages = from.optionalObjects("executionOrder", STAGES.length)?.map((stage) => {
    const read = { name: stage.choice("name", STAGES), manifests: stage.optionalTexts("manifests", MAX_PACK_OBJECTS) };
    stage.end();
    return withoutUndefined(read) as ExecutionStage;
  });
  if (stages && new Set(stages.map((stage) => stage.name)).size !== stages.length)
    throw new SeamError({
      reason: "BodyInvalid",
      object: WHAT,
      field: "executionOrder",
      expected: "names every stage at most once",
    });
  return stages;
}

function readChart(from: StrictObject): ChartRef {
  const chart = {
    name: from.text("name"),
    url: from.optionalText("url"),
    version: from.optionalText("version"),
    helmVersion: from.optionalText("helmVersion"),
  };
  from.end();
  return withoutUndefined(chart) as ChartRef;
}

function readResources(from: StrictObject): readonly ManifestResource[] {
  return from.objects("deployedResources", MAX_PACK_OBJECTS).map((entry) => {
    const resource = {
      apiVersion: entry.text("apiVersion", { max: 317 }),
      kind: entry.text("kind", { max: 63 }),
      namespace: entry.optionalText("namespace", { pattern: DNS_LABEL }),
      name: entry.text("name", { max: 253 }),
      specHash: entry.text("specHash", { pattern: DIGEST }),
    };
    entry.end();
    return withoutUndefined(resource) as ManifestResource;
  });
}
