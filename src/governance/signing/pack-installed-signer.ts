import { canonicalJson } from "../../base/canonical-json.ts";
import { rfc3339 } from "../../base/clock.ts";
import { digestOf, sha256Hex } from "../../base/digest.ts";
import type { JsonObject } from "../../base/json.ts";
import { Secret, type SecretObject } from "../../api/builtin.ts";
import { isTrue } from "../../api/conditions.ts";
import type { PackArtifactSeal } from "../../api/kinds/pack-artifact-seal.ts";
import type { PackExecution } from "../../api/kinds/pack-execution.ts";
import { PackInstalled } from "../../api/kinds/pack-installed.ts";
import {
  ANNOTATIONS,
  FIELD_MANAGERS,
  LABELS,
  labelValue,
  signedPackSecretName,
  tenantNamespace,
} from "../../api/names.ts";
import { type ObjectKey, keyOf } from "../../api/object.ts";
import { apiVersionOf } from "../../api/resource-type.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import type { Result } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import { verifyPackDelivery } from "../../packs/manifest/delivery-signature.ts";
import { type PackManifest, encodePackManifest, parsePackManifest } from "../../packs/manifest/pack-manifest.ts";
import { PAYLOAD_TYPES, type SignedEnvelope, encodeEnvelope, shortKeyId, signEnvelope } from "../../trust/dsse.ts";
import { type GovernanceContext, RESYNC_MS } from "../governance-context.ts";
import type { ArtifactChecker, CheckedArtifact } from "./checked-artifact.ts";
import { SigningRefused, refusalOf } from "./refusal.ts";
import { reserveSerial } from "./serial-ledger.ts";
import { verifiedBody, writeSignedSecret } from "./signed-secret.ts";

/** Annotation on the signed Secret: which attempt of which PackExecution it was signed for. A new attempt gets a new serial. */
export const SIGNED_FOR = "seam.ontai.dev/signed-for";

/** Phases of a PackExecution whose content may be signed: an attempt was admitted and not withdrawn. */
const SIGNABLE: ReadonlySet<string | undefined> = new Set(["Running", "Retrying", "Succeeded", "Failed"]);

interface Held {
  readonly secret: SecretObject;
  readonly manifest: PackManifest;
  readonly keyId: string;
}

/**
 * Signs pack manifests (conductor §7.1): what the tenant is told about one PackInstalled. Signed only when the namespace matches the
 * target, the PackExecution was admitted, and the PackDelivery is signed, not revoked, and says what the seal says.
 */
export class PackInstalledSigner {
  readonly #context: GovernanceContext;
  readonly #artifacts: ArtifactChecker;

  constructor(context: GovernanceContext, artifacts: ArtifactChecker) {
    this.#context = context;
    this.#artifacts = artifacts;
  }

  readonly reconcile = async (key: ObjectKey): Promise<Result | void> => {
    const installed = this.#context.caches.installed.get(key);
    // Removal is said by a tombstone; the last manifest stays until that is signed.
    if (installed === undefined || installed.metadata.deletionTimestamp !== undefined) return;
    try {
      await this.#sign(installed);
    } catch (error) {
      if (!(error instanceof SigningRefused)) throw error;
      await this.#refuse(installed, error);
      return { requeueAfterMs: RESYNC_MS };
    }
  };

  async #sign(installed: PackInstalled): Promise<void> {
    const { execution, seal } = this.#origin(installed);
    if (!SIGNABLE.has(execution.status?.phase)) return; // waits for the dispatcher; not a refusal
    const cluster = installed.spec.targetClusterRef;
    const secretName = signedPackSecretName(cluster, installed.metadata.name);
    const existing = await this.#secret(tenantNamespace(cluster), secretName);
    const held = this.#held(installed, existing);
    const attempt = `${execution.metadata.uid ?? ""}/${execution.status?.attempts ?? 0}`;
    const artifact = await this.#artifact(seal);
    const draft = manifestOf(installed, seal, artifact);
    if (
      held !== undefined &&
      held.secret.metadata.annotations?.[SIGNED_FOR] === attempt &&
      held.keyId === this.#context.signer.keyId &&
      sameContent(held.manifest, draft)
    ) {
      await this.#publish(installed, held.manifest, this.#envelope(held.manifest), attempt);
      return;
    }
    this.#context.assertFenced();
    const serial = await reserveSerial(
      this.#context.cluster,
      cluster,
      installed.metadata.name,
      Math.max(held?.manifest.serial ?? 0, installed.status?.serial ?? 0),
    );
    const manifest: PackManifest = {
      ...draft,
      serial,
      issuedAt: rfc3339(this.#context.clock.now()),
      ...(held === undefined ? {} : { supersedes: { serial: held.manifest.serial, version: held.manifest.version } }),
    };
    const envelope = this.#envelope(manifest);
    this.#context.assertFenced();
    await writeSignedSecret(
      this.#context.cluster,
      {
        namespace: tenantNamespace(cluster),
        name: secretName,
        envelope,
        labels: {
          [LABELS.cluster]: cluster,
          [LABELS.packInstalled]: labelValue(installed.metadata.name),
          [LABELS.packVersion]: labelValue(installed.spec.version),
        },
        annotations: { [SIGNED_FOR]: attempt },
        owner: {
          apiVersion: apiVersionOf(PackInstalled),
          kind: "PackInstalled",
          name: installed.metadata.name,
          uid: installed.metadata.uid ?? "",
        },
        refs: artifact.refs,
      },
      existing,
    );
    this.#context.log.info(
      { packInstalled: installed.metadata.name, cluster, serial, version: manifest.version },
      "pack manifest signed",
    );
    await this.#publish(installed, manifest, envelope, attempt);
  }

  /** Checks where the content comes from. @throws SigningRefused */
  #origin(installed: PackInstalled): { readonly execution: PackExecution; readonly seal: PackArtifactSeal } {
    const { caches, keys } = this.#context;
    const { spec, metadata } = installed;
    const namespace = tenantNamespace(spec.targetClusterRef);
    if (metadata.namespace !== namespace)
      throw new SigningRefused(
        "NamespaceMismatch",
        `targetClusterRef ${spec.targetClusterRef} belongs in ${namespace}, found ${metadata.namespace ?? ""}`,
      );
    const execution =
      spec.packExecutionRef === undefined
        ? undefined
        : caches.executions.get({ namespace, name: spec.packExecutionRef });
    if (
      execution === undefined ||
      execution.spec.clusterPackRef.name !== spec.clusterPackRef ||
      execution.spec.clusterPackRef.version !== spec.version ||
      execution.spec.targetClusterRef !== spec.targetClusterRef
    )
      throw new SigningRefused(
        "ExecutionNotFound",
        `packExecutionRef ${spec.packExecutionRef ?? ""} names no PackExecution of ${spec.clusterPackRef} ${spec.version}`,
      );
    const seal = execution.spec.artifact ?? execution.status?.artifact;
    if (seal === undefined) throw new SigningRefused("ExecutionNotSealed", "the PackExecution has no sealed artifact");
    const delivery = caches.deliveries.get({
      namespace: spec.clusterPackNamespace ?? "",
      name: spec.clusterPackRef,
    });
    if (delivery === undefined || delivery.metadata.uid !== spec.packDeliveryUID)
      throw new SigningRefused(
        "PackDeliveryNotFound",
        `no PackDelivery ${spec.clusterPackNamespace ?? ""}/${spec.clusterPackRef} with uid ${spec.packDeliveryUID ?? ""}`,
      );
    if (isTrue(delivery.status?.conditions, "Revoked"))
      throw new SigningRefused("PackRevoked", `PackDelivery ${spec.clusterPackRef} is revoked`);
    const verdict = verifyPackDelivery(delivery, keys);
    if (!verdict.ok)
      throw new SigningRefused("PackNotSigned", `PackDelivery ${spec.clusterPackRef} is not signed (${verdict.code})`);
    if (!Buffer.from(verdict.body).equals(Buffer.from(seal.signedBody)))
      throw new SigningRefused("SealMismatch", "the seal's signed body is not what the PackDelivery says");
    requireSealFields(seal);
    return { execution, seal };
  }

  async #artifact(seal: PackArtifactSeal): Promise<CheckedArtifact> {
    try {
      return await this.#artifacts.check(seal, false);
    } catch (error) {
      throw refusalOf(error);
    }
  }

  /** Read from the server, not the cache: a serial must not be spent because the cache is a moment behind. */
  async #secret(namespace: string, name: string): Promise<SecretObject | undefined> {
    return ifPresent(this.#context.cluster.get(Secret, { namespace, name }));
  }

  /** What is signed for this PackInstalled now; undefined when nothing is, or what stands there does not verify. */
  #held(installed: PackInstalled, secret: SecretObject | undefined): Held | undefined {
    const { keys, events } = this.#context;
    if (secret === undefined) return undefined;
    const verified = verifiedBody(secret, PAYLOAD_TYPES.packInstalled, keys);
    if (verified === undefined) {
      const { name } = secret.metadata;
      events.record(installed, "Warning", "SignatureForged", `Secret ${name} does not verify and is replaced`);
      return undefined;
    }
    const manifest = parsePackManifest(verified.body);
    return manifest.name === installed.metadata.name && manifest.targetClusterRef === installed.spec.targetClusterRef
      ? { secret, manifest, keyId: verified.keyId }
      : undefined;
  }

  #envelope(manifest: PackManifest): SignedEnvelope {
    return signEnvelope(PAYLOAD_TYPES.packInstalled, encodePackManifest(manifest), this.#context.signer);
  }

  /** Annotations, then status. */
  async #publish(
    installed: PackInstalled,
    manifest: PackManifest,
    envelope: SignedEnvelope,
    signedFor: string,
  ): Promise<void> {
    const { cluster, signer } = this.#context;
    const [first] = envelope.signatures;
    const annotations = {
      [ANNOTATIONS.managementSignature]: Buffer.from(first?.signature ?? []).toString("base64"),
      [ANNOTATIONS.managementSpecHash]: sha256Hex(envelope.body),
      [ANNOTATIONS.signingKeyId]: shortKeyId(signer.keyId),
    };
    const stand = installed.metadata.annotations ?? {};
    let current = installed;
    if (Object.entries(annotations).some(([key, value]) => stand[key] !== value)) {
      this.#context.assertFenced();
      current = await cluster.patch(
        PackInstalled,
        keyOf(installed),
        { type: "merge", body: { metadata: { uid: installed.metadata.uid, annotations } } },
        { fieldManager: FIELD_MANAGERS.signer },
      );
    }
    await applyStatus(
      this.#context,
      PackInstalled,
      current,
      {
        fields: { serial: manifest.serial, manifestDigest: digestOf(encodeEnvelope(envelope)), signedFor },
        conditions: [{ type: "SigningRefused", status: "False", reason: "PackSigned" }],
      },
      FIELD_MANAGERS.signer,
    );
  }

  async #refuse(installed: PackInstalled, refusal: SigningRefused): Promise<void> {
    this.#context.assertFenced();
    const { serial, manifestDigest, signedFor } = installed.status ?? {};
    const said = await applyStatus(
      this.#context,
      PackInstalled,
      installed,
      {
        fields: { serial, manifestDigest, signedFor },
        conditions: [{ type: "SigningRefused", status: "True", reason: refusal.reason, message: refusal.message }],
      },
      FIELD_MANAGERS.signer,
    );
    if (said.metadata.resourceVersion === installed.metadata.resourceVersion) return;
    this.#context.events.record(installed, "Warning", refusal.reason, refusal.message);
    this.#context.log.warn({ packInstalled: installed.metadata.name, reason: refusal.reason }, refusal.message);
  }
}

/** Every seal field equals the same field of the signed body (resources-seam §0.5). @throws SigningRefused */
function requireSealFields(seal: PackArtifactSeal): void {
  const { spec, namespace, name } = JSON.parse(seal.signedBody) as {
    readonly spec: JsonObject;
    readonly namespace: string;
    readonly name: string;
  };
  const ref = spec["registryRef"] as JsonObject;
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ["registryURL", seal.registryURL, ref["url"]],
    ["digest", seal.digest, ref["digest"]],
    ["rbacDigest", seal.rbacDigest, spec["rbacDigest"]],
    ["clusterScopedDigest", seal.clusterScopedDigest, spec["clusterScopedDigest"]],
    ["workloadDigest", seal.workloadDigest, spec["workloadDigest"]],
    ["checksum", seal.checksum, spec["checksum"]],
    ["version", seal.version, spec["version"]],
    ["executionOrder", seal.executionOrder, spec["executionOrder"]],
    ["lifecyclePolicies", seal.lifecyclePolicies, spec["lifecyclePolicies"]],
    ["deployTimeoutSeconds", seal.deployTimeoutSeconds, spec["deployTimeoutSeconds"]],
    ["packDelivery.namespace", seal.packDelivery.namespace, namespace],
    ["packDelivery.name", seal.packDelivery.name, name],
  ];
  for (const [field, sealed, signed] of pairs)
    if (canonicalJson({ value: sealed as JsonObject }) !== canonicalJson({ value: signed as JsonObject }))
      throw new SigningRefused("SealMismatch", `seal field ${field} differs from the signed body`);
}

/** The manifest without its ordering: what decides whether a new one is needed. */
function manifestOf(installed: PackInstalled, seal: PackArtifactSeal, artifact: CheckedArtifact): PackManifest {
  const { spec, metadata } = installed;
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackInstalled",
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    uid: metadata.uid ?? "",
    clusterPackRef: spec.clusterPackRef,
    clusterPackNamespace: spec.clusterPackNamespace ?? "",
    version: spec.version,
    targetClusterRef: spec.targetClusterRef,
    serial: 1,
    issuedAt: rfc3339(0),
    artifact: {
      registryUrl: seal.registryURL,
      rbacDigest: artifact.rbacDigest,
      ...(artifact.clusterScopedDigest === undefined ? {} : { clusterScopedDigest: artifact.clusterScopedDigest }),
      workloadDigest: artifact.workloadDigest,
      checksum: artifact.checksum,
    },
    ...(seal.executionOrder === undefined ? {} : { executionOrder: seal.executionOrder }),
    ...(seal.deployTimeoutSeconds === undefined ? {} : { deployTimeoutSeconds: seal.deployTimeoutSeconds }),
    ...(spec.chartName === undefined
      ? {}
      : {
          chart: {
            name: spec.chartName,
            ...(spec.chartURL === undefined ? {} : { url: spec.chartURL }),
            ...(spec.chartVersion === undefined ? {} : { version: spec.chartVersion }),
            ...(spec.helmVersion === undefined ? {} : { helmVersion: spec.helmVersion }),
          },
        }),
    deployedResources: artifact.resources,
    lifecyclePolicies: seal.lifecyclePolicies ?? {},
    tombstone: false,
  };
}

/** Equal but for serial, time and what it supersedes. */
function sameContent(a: PackManifest, b: PackManifest): boolean {
  return contentText(a) === contentText(b);
}

function contentText(manifest: PackManifest): string {
  const { serial: _serial, issuedAt: _issuedAt, supersedes: _supersedes, ...content } = manifest;
  return canonicalJson(content as unknown as JsonObject);
}
