import { sha256Hex } from "../../base/digest.ts";
import { auditObject } from "../../api/audit-record.ts";
import { isTrue } from "../../api/conditions.ts";
import { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import { ANNOTATIONS, FIELD_MANAGERS, NAMESPACES, clusterOfNamespace } from "../../api/names.ts";
import { type ObjectKey, keyOf } from "../../api/object.ts";
import type { Result } from "../../controller/controller.ts";
import { applyStatus } from "../../controller/status.ts";
import { packDeliveryBody } from "../../packs/manifest/pack-delivery-body.ts";
import { verifyPackDelivery } from "../../packs/manifest/delivery-signature.ts";
import { PAYLOAD_TYPES, shortKeyId, signEnvelope } from "../../trust/dsse.ts";
import { type GovernanceContext, RESYNC_MS } from "../governance-context.ts";
import type { ArtifactChecker } from "./checked-artifact.ts";
import { SigningRefused, refusalOf } from "./refusal.ts";

/**
 * Signs PackDeliveries. The artifact is fetched and checked before a first signature; a signature that stands
 * there is verified, never trusted, and replaced when it does not hold.
 */
export class PackDeliverySigner {
  readonly #context: GovernanceContext;
  readonly #artifacts: ArtifactChecker;

  constructor(context: GovernanceContext, artifacts: ArtifactChecker) {
    this.#context = context;
    this.#artifacts = artifacts;
  }

  readonly reconcile = async (key: ObjectKey): Promise<Result | void> => {
    const delivery = this.#context.caches.deliveries.get(key);
    if (delivery === undefined || delivery.metadata.deletionTimestamp !== undefined) return;
    if (isTrue(delivery.status?.conditions, "Revoked")) return; // a revoked pack is never signed again (dispatcher §9.4)
    const verdict = verifyPackDelivery(delivery, this.#context.keys);
    const active = verdict.ok && verdict.keyId === this.#activeKeyId(verdict.keyId);
    const hash = delivery.metadata.annotations?.[ANNOTATIONS.managementSpecHash];
    if (verdict.ok && active && hash === sha256Hex(verdict.body)) {
      await this.#say(delivery, { signed: true, signature: verdict.signature });
      return;
    }
    const claimed = delivery.metadata.annotations?.[ANNOTATIONS.packSignature] !== undefined;
    if (claimed && !verdict.ok && verdict.code !== "UNKNOWN_KEY") this.#forged(delivery, verdict.code);
    try {
      await this.#sign(delivery);
    } catch (error) {
      if (!(error instanceof SigningRefused)) throw error;
      await this.#refuse(delivery, error, claimed && !verdict.ok);
      return { requeueAfterMs: RESYNC_MS };
    }
  };

  async #sign(delivery: PackDelivery): Promise<void> {
    const { signer, cluster, assertFenced } = this.#context;
    const { namespace } = delivery.metadata;
    if (namespace !== NAMESPACES.seam && clusterOfNamespace(namespace) === undefined)
      throw new SigningRefused(
        "NamespaceNotPermitted",
        `a PackDelivery belongs in ${NAMESPACES.seam} or seam-tenant-{cluster}, found ${namespace ?? ""}`,
      );
    const { registryRef, rbacDigest, clusterScopedDigest, workloadDigest, checksum } = delivery.spec;
    let body: Uint8Array;
    try {
      body = packDeliveryBody(delivery);
      await this.#artifacts.check(
        {
          digest: registryRef.digest,
          ...(rbacDigest === undefined ? {} : { rbacDigest }),
          ...(clusterScopedDigest === undefined ? {} : { clusterScopedDigest }),
          ...(workloadDigest === undefined ? {} : { workloadDigest }),
          ...(checksum === undefined ? {} : { checksum }),
        },
        true,
      );
    } catch (error) {
      throw refusalOf(error);
    }
    const [signed] = signEnvelope(PAYLOAD_TYPES.packDelivery, body, signer).signatures;
    const signature = Buffer.from(signed?.signature ?? []).toString("base64");
    assertFenced();
    const written = await cluster.patch(
      PackDelivery,
      keyOf(delivery),
      {
        type: "merge",
        body: {
          metadata: {
            resourceVersion: delivery.metadata.resourceVersion,
            annotations: {
              [ANNOTATIONS.packSignature]: signature,
              [ANNOTATIONS.managementSpecHash]: sha256Hex(body),
              [ANNOTATIONS.signingKeyId]: shortKeyId(signer.keyId),
            },
          },
        },
      },
      { fieldManager: FIELD_MANAGERS.signer },
    );
    await this.#say(written, { signed: true, signature });
    this.#context.events.record(delivery, "Normal", "PackSigned", `signed with key ${shortKeyId(signer.keyId)}`);
    this.#context.log.info({ delivery: delivery.metadata.name, hash: sha256Hex(body) }, "pack delivery signed");
  }

  async #refuse(delivery: PackDelivery, refusal: SigningRefused, strip: boolean): Promise<void> {
    const { cluster, assertFenced, events, log } = this.#context;
    assertFenced();
    let current = delivery;
    if (strip)
      current = await cluster.patch(
        PackDelivery,
        keyOf(delivery),
        {
          type: "merge",
          body: {
            metadata: {
              resourceVersion: delivery.metadata.resourceVersion,
              annotations: {
                [ANNOTATIONS.packSignature]: null,
                [ANNOTATIONS.managementSpecHash]: null,
                [ANNOTATIONS.signingKeyId]: null,
              },
            },
          },
        },
        { fieldManager: FIELD_MANAGERS.signer },
      );
    const said = await this.#say(current, { signed: false, refusal });
    if (said.metadata.resourceVersion === current.metadata.resourceVersion) return;
    events.record(delivery, "Warning", refusal.reason, refusal.message);
    log.warn({ delivery: delivery.metadata.name, reason: refusal.reason }, refusal.message);
  }

  /** Status after the annotation is confirmed; nothing is written when nothing changed. */
  async #say(
    delivery: PackDelivery,
    outcome:
      | { readonly signed: true; readonly signature: string }
      | { readonly signed: false; readonly refusal: SigningRefused },
  ): Promise<PackDelivery> {
    const fields = outcome.signed
      ? { signed: true, packSignature: outcome.signature, signingKeyID: shortKeyId(this.#context.signer.keyId) }
      : { signed: false };
    const condition = outcome.signed
      ? { status: "False" as const, reason: "PackSigned", message: "" }
      : { status: "True" as const, reason: outcome.refusal.reason, message: outcome.refusal.message };
    return applyStatus(
      this.#context,
      PackDelivery,
      delivery,
      {
        fields,
        conditions: [{ type: "SigningRefused", ...condition, observedGeneration: delivery.metadata.generation ?? 0 }],
      },
      FIELD_MANAGERS.signer,
    );
  }

  #forged(delivery: PackDelivery, code: string): void {
    this.#context.log.warn({ delivery: delivery.metadata.name, code }, "signature.forged: annotation does not verify");
    void this.#context.trail.record({
      ...auditObject(PackDelivery, delivery.metadata),
      action: "signature.forged",
      decision: "deny",
      subject: FIELD_MANAGERS.signer,
      code,
    });
    this.#context.events.record(
      delivery,
      "Warning",
      "SignatureForged",
      `the signature annotation does not verify (${code}) and is replaced`,
    );
  }

  /** The verdict's id when it names the active key in either form. */
  #activeKeyId(keyId: string): string | undefined {
    const { keyId: active } = this.#context.signer;
    return keyId === active || keyId === shortKeyId(active) ? keyId : undefined;
  }
}
