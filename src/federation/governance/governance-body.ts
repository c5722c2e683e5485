import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { RunnerConfig } from "../../api/kinds/runner-config.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { canonicalJson, parseCanonicalJson } from "../../base/canonical-json.ts";
import { SeamError } from "../../base/errors.ts";
import { type JsonObject, type JsonValue, isJsonObject } from "../../base/json.ts";

/** Kinds that the management cluster mirrors to a tenant (conductor §8); an agent applies no other. */
export const MIRRORED_TYPES = { RBACPolicy, RBACProfile, RunnerConfig, TalosCluster } as const;

/** One of {@link MIRRORED_TYPES}. */
export type MirroredKind = keyof typeof MIRRORED_TYPES;

/** An object of the management cluster as a tenant must hold it in `ont-system`; signed as payload type `governance`. */
export interface GovernanceBody {
  readonly cluster: string;
  readonly kind: MirroredKind;
  readonly name: string;
  /** Ordering value of this object's bodies; only rises. */
  readonly serial: number;
  /** True: the tenant removes its copy. */
  readonly deleted: boolean;
  /** Empty when deleted. */
  readonly spec: JsonObject;
}

const TYPE = "GovernanceObject/v1";
/** Largest body, bytes. */
export const MAX_GOVERNANCE_BYTES = 256 * 1024;
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** Name of the object's item in the index, and of everything that is kept for it. */
export function governanceItemName({ kind, name }: Pick<GovernanceBody, "kind" | "name">): string {
  return `${kind.toLowerCase()}-${name}`;
}

/** The canonical bytes that are signed. */
export function encodeGovernance(body: GovernanceBody): Uint8Array {
  return Buffer.from(canonicalJson({ _type: TYPE, ...body }));
}

/** Reads bytes whose signature was verified. @throws SeamError `NotCanonical`, `BodyInvalid` */
export function parseGovernance(bytes: Uint8Array): GovernanceBody {
  if (bytes.length > MAX_GOVERNANCE_BYTES) throw invalid("size", `at most ${MAX_GOVERNANCE_BYTES} bytes`);
  const value = parseCanonicalJson(bytes);
  if (!isJsonObject(value) || value["_type"] !== TYPE) throw invalid("_type", TYPE);
  const kind = isMirroredKind(value["kind"]) ? value["kind"] : undefined;
  if (kind === undefined) throw invalid("kind", `one of ${Object.keys(MIRRORED_TYPES).join(", ")}`);
  const { cluster, name, serial, deleted, spec } = value;
  if (typeof cluster !== "string") throw invalid("cluster", "a cluster id");
  if (typeof name !== "string" || !NAME.test(name)) throw invalid("name", "an object name");
  if (typeof serial !== "number" || !Number.isSafeInteger(serial) || serial < 1) throw invalid("serial", "from 1");
  if (typeof deleted !== "boolean") throw invalid("deleted", "true or false");
  if (!isJsonObject(spec)) throw invalid("spec", "an object");
  return { cluster, kind, name, serial, deleted, spec };
}

/** True for a kind that is mirrored. */
export function isMirroredKind(kind: JsonValue | undefined): kind is MirroredKind {
  return typeof kind === "string" && Object.hasOwn(MIRRORED_TYPES, kind);
}

function invalid(field: string, expected: string): SeamError {
  return new SeamError({ reason: "BodyInvalid", object: "governance object", field, expected: `is ${expected}` });
}
