import { Ajv, type ValidateFunction } from "ajv";
import { isTrue } from "../../../api/conditions.ts";
import type { PackDelivery } from "../../../api/kinds/pack-delivery.ts";
import type { RunnerCapability, RunnerConfig, RunnerConfigSpec, RunnerStep } from "../../../api/kinds/runner-config.ts";
import type { TalosCluster } from "../../../api/kinds/talos-cluster.ts";
import { FIELD_MANAGERS, NAMESPACES, tenantNamespace } from "../../../api/names.ts";
import { canonicalJson } from "../../../base/canonical-json.ts";
import { digestOf } from "../../../base/digest.ts";
import { errorMessage } from "../../../base/errors.ts";
import { type JsonValue, isJsonObject } from "../../../base/json.ts";

/** One broken rule of conductor §4.13. */
export interface RunnerConfigViolation {
  readonly code: "V1" | "V2" | "V3" | "V4" | "V5" | "V6" | "V7" | "V8" | "V9" | "V10";
  /** Path in the object. */
  readonly field: string;
  /** What was expected and found, for people. */
  readonly message: string;
}

/** Everything the rules look at. */
export interface RunnerConfigEvidence {
  /** Cluster of the certificate. */
  readonly cluster: string;
  /** As the asker named it. */
  readonly namespace: string;
  readonly name: string;
  /** Digest of the spec that the asker holds; empty when it did not say. */
  readonly specDigest: string;
  /** The object on the management cluster. */
  readonly runnerConfig: RunnerConfig | undefined;
  /** What the executor published for the cluster. */
  readonly capabilities: readonly RunnerCapability[];
  readonly talosCluster: TalosCluster | undefined;
  /** PackDelivery of a name; undefined when there is none. */
  readonly delivery: (name: string) => PackDelivery | undefined;
  /** Images without a Talos version in their tag may run. */
  readonly allowDevelopmentImages: boolean;
}

/** Capabilities that destroy, with the annotation by which a person allows each (INV-007). */
const HUMAN_GATES: ReadonlyMap<string, string> = new Map([
  ["cluster-reset", "ontai.dev/reset-approved"],
  ["etcd-restore", "ontai.dev/restore-approved"],
]);
/** Parameter of a step that names a PackDelivery. */
export const PACK_PARAMETER = "clusterPackRef";
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const STABLE_TAG = /^v(\d+)\.(\d+)\.\d+-r\d+$/;
const DEVELOPMENT_TAG = /^dev(-rc\d+)?$/;

/**
 * Every rule of V1–V10 that a RunnerConfig breaks; none: Jobs may be made from it. Without the object nothing else can be judged, and an
 * object outside the cluster's own namespaces is not even looked at. Pure.
 */
export function runnerConfigViolations(evidence: RunnerConfigEvidence): readonly RunnerConfigViolation[] {
  const { cluster, namespace, name, runnerConfig } = evidence;
  const homes = [NAMESPACES.ont, tenantNamespace(cluster)];
  if (!homes.includes(namespace) || runnerConfig === undefined)
    return [broken("V1", "metadata", `RunnerConfig ${name} exists in ${homes.join(" or ")}, asked for ${namespace}`)];
  return [
    ...identity(runnerConfig, evidence),
    ...liveness(runnerConfig),
    ...sequence(runnerConfig.spec.steps ?? []),
    ...known(runnerConfig, evidence.capabilities),
    ...image(runnerConfig, evidence),
    ...placement(runnerConfig),
    ...authorship(runnerConfig),
    ...packs(runnerConfig, evidence.delivery),
    ...gates(runnerConfig),
  ];
}

function identity({ spec }: RunnerConfig, { cluster, specDigest }: RunnerConfigEvidence): RunnerConfigViolation[] {
  const violations: RunnerConfigViolation[] = [];
  if (spec.clusterRef !== cluster)
    violations.push(broken("V1", "spec.clusterRef", `${cluster} as in the certificate, found ${spec.clusterRef}`));
  if (specDigest !== "" && specDigest !== specDigestOf(spec))
    violations.push(
      broken("V1", "spec", "the spec that the asker holds; it differs from the one on the management cluster"),
    );
  return violations;
}

function liveness({ metadata, status }: RunnerConfig): RunnerConfigViolation[] {
  const violations: RunnerConfigViolation[] = [];
  if (metadata.deletionTimestamp !== undefined)
    violations.push(broken("V2", "metadata.deletionTimestamp", "not being deleted"));
  if (status?.phase === "Completed" || status?.phase === "Failed")
    violations.push(broken("V2", "status.phase", `not over, found ${status.phase}`));
  return violations;
}

function sequence(steps: readonly RunnerStep[]): RunnerConfigViolation[] {
  if (steps.length === 0) return [broken("V3", "spec.steps", "at least one step")];
  const violations: RunnerConfigViolation[] = [];
  const earlier = new Set<string>();
  for (const [at, { name, dependsOn }] of steps.entries()) {
    const field = `spec.steps[${at}]`;
    if (!DNS_LABEL.test(name)) violations.push(broken("V3", `${field}.name`, `a DNS label, found ${name}`));
    if (earlier.has(name)) violations.push(broken("V3", `${field}.name`, `a name of its own, ${name} is taken`));
    if (dependsOn !== undefined && dependsOn !== "" && !earlier.has(dependsOn))
      violations.push(broken("V3", `${field}.dependsOn`, `the name of an earlier step, found ${dependsOn}`));
    earlier.add(name);
  }
  return violations;
}

function known({ spec }: RunnerConfig, published: readonly RunnerCapability[]): RunnerConfigViolation[] {
  const byName = new Map(published.map((capability) => [capability.name, capability]));
  return (spec.steps ?? []).flatMap((step, at) => {
    const capability = byName.get(step.capability);
    const field = `spec.steps[${at}]`;
    return capability === undefined
      ? [broken("V4", `${field}.capability`, `a capability that the executor published, found ${step.capability}`)]
      : parameters(step, capability, `${field}.parameters`);
  });
}

/** Parameters are strings in the object; a schema may call them numbers or booleans. */
function parameters(
  { parameters: given = {} }: RunnerStep,
  { name, parameterSchema = {} }: RunnerCapability,
  field: string,
): RunnerConfigViolation[] {
  const properties = isJsonObject(parameterSchema["properties"]) ? parameterSchema["properties"] : {};
  const unknown = Object.keys(given)
    .filter((key) => !Object.hasOwn(properties, key))
    .map((key) =>
      broken("V5", `${field}.${key}`, `a parameter of ${name}: ${Object.keys(properties).join(", ") || "none"}`),
    );
  let validate: ValidateFunction;
  try {
    validate = new Ajv({ allErrors: true, coerceTypes: true, strict: false }).compile(parameterSchema);
  } catch (error) {
    return [broken("V5", field, `a readable parameter schema of ${name}: ${errorMessage(error)}`)];
  }
  if (validate({ ...given })) return unknown;
  const wrong = (validate.errors ?? [])
    .filter(({ keyword }) => keyword !== "additionalProperties")
    .map(({ instancePath, message }) => broken("V5", field + instancePath.replaceAll("/", "."), message ?? "valid"));
  return [...unknown, ...wrong];
}

function image(
  { spec }: RunnerConfig,
  { talosCluster, allowDevelopmentImages }: RunnerConfigEvidence,
): RunnerConfigViolation[] {
  const tag = tagOf(spec.runnerImage);
  if (spec.agentImage !== undefined && tagOf(spec.agentImage) !== tag)
    return [broken("V6", "spec.agentImage", `the tag of runnerImage, ${tag}, found ${tagOf(spec.agentImage)}`)];
  if (DEVELOPMENT_TAG.test(tag))
    return allowDevelopmentImages
      ? []
      : [broken("V6", "spec.runnerImage", `a stable tag v{talosVersion}-r{revision}, found ${tag}`)];
  const [, major, minor] = STABLE_TAG.exec(tag) ?? [];
  if (major === undefined || minor === undefined)
    return [broken("V6", "spec.runnerImage", `a tag v{talosVersion}-r{revision}, found ${tag || "none"}`)];
  const declared = talosCluster?.spec.talosVersion?.replace(/^v/, "");
  if (declared === undefined || declared.startsWith(`${major}.${minor}.`)) return [];
  return [broken("V6", "spec.runnerImage", `an image for Talos ${declared}, found ${tag}`)];
}

/** Tag of an image reference; a digest behind it does not count. */
function tagOf(reference: string): string {
  const named = reference.split("@")[0] ?? "";
  const last = named.slice(named.lastIndexOf("/") + 1);
  const at = last.indexOf(":");
  return at < 0 ? "" : last.slice(at + 1);
}

function placement({ spec }: RunnerConfig): RunnerConfigViolation[] {
  const nodes = spec.maintenanceTargetNodes ?? [];
  const leader = spec.operatorLeaderNode ?? "";
  const placed = nodes.length > 0 || leader !== "";
  if (spec.selfOperation === true)
    return placed ? [] : [broken("V7", "spec.selfOperation", "maintenanceTargetNodes or operatorLeaderNode with it")];
  const field = nodes.length > 0 ? "spec.maintenanceTargetNodes" : "spec.operatorLeaderNode";
  return placed ? [broken("V7", field, "empty without selfOperation")] : [];
}

/** Whoever wrote any field of the spec is an author. */
function authorship({ metadata }: RunnerConfig): RunnerConfigViolation[] {
  const authors = (metadata.managedFields ?? [])
    .filter(({ subresource, fieldsV1 }) => (subresource ?? "") === "" && "f:spec" in fieldsV1)
    .map(({ manager }) => manager);
  const others = authors.filter((manager) => manager !== FIELD_MANAGERS.platform);
  if (authors.length > 0 && others.length === 0) return [];
  const found = others.length === 0 ? "nobody" : [...new Set(others)].join(", ");
  return [broken("V8", "metadata.managedFields", `a spec written by ${FIELD_MANAGERS.platform} alone, found ${found}`)];
}

function packs({ spec }: RunnerConfig, delivery: RunnerConfigEvidence["delivery"]): RunnerConfigViolation[] {
  return (spec.steps ?? []).flatMap(({ parameters: given }, at) => {
    const name = given?.[PACK_PARAMETER];
    if (name === undefined) return [];
    const field = `spec.steps[${at}].parameters.${PACK_PARAMETER}`;
    const found = delivery(name);
    if (found === undefined) return [broken("V9", field, `an existing PackDelivery, found ${name}`)];
    if (isTrue(found.status?.conditions, "Revoked"))
      return [broken("V9", field, `a pack that is not revoked: ${name}`)];
    return found.status?.signed === true ? [] : [broken("V9", field, `a signed pack: ${name}`)];
  });
}

function gates({ spec, metadata }: RunnerConfig): RunnerConfigViolation[] {
  return (spec.steps ?? []).flatMap(({ capability }, at) => {
    const annotation = HUMAN_GATES.get(capability);
    if (annotation === undefined || metadata.annotations?.[annotation] === "true") return [];
    return [
      broken(
        "V10",
        `metadata.annotations[${annotation}]`,
        `"true", set by a person: step ${at} runs ${capability}, which destroys`,
      ),
    ];
  });
}

function broken(code: RunnerConfigViolation["code"], field: string, expected: string): RunnerConfigViolation {
  return { code, field, message: `expected ${expected}` };
}

/** Digest by which an asker says which spec it holds: SHA-256 over its canonical JSON. */
export function specDigestOf(spec: RunnerConfigSpec): string {
  return digestOf(canonicalJson(JSON.parse(JSON.stringify(spec)) as JsonValue));
}
