import { canonicalJson } from "../../base/canonical-json.ts";
import { rfc3339 } from "../../base/clock.ts";
import { Secret, type SecretObject } from "../../api/builtin.ts";
import { isTrue } from "../../api/conditions.ts";
import type { DriftSignal } from "../../api/kinds/drift-signal.ts";
import { LABELS, clusterOfNamespace, correctionSecretName, labelValue, signedPackSecretName } from "../../api/names.ts";
import type { ObjectKey } from "../../api/object.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import type { Result } from "../../controller/controller.ts";
import { type Correction, encodeCorrection, parseCorrection } from "../../packs/manifest/correction.ts";
import { parsePackManifest } from "../../packs/manifest/pack-manifest.ts";
import { PAYLOAD_TYPES, signEnvelope } from "../../trust/dsse.ts";
import { type GovernanceContext, RESYNC_MS } from "../governance-context.ts";
import { verifiedBody, writeSignedSecret } from "./signed-secret.ts";

/**
 * Signs corrections: the order to a tenant to apply the pack it holds again. The request is the DriftSignal itself, in state queued
 * with `correctionJobRef` naming this Secret; only the corrector puts it there (conductor §9.5). One attempt has one body.
 */
export class CorrectionSigner {
  readonly #context: GovernanceContext;

  constructor(context: GovernanceContext) {
    this.#context = context;
  }

  readonly reconcile = async (key: ObjectKey): Promise<Result | void> => {
    const signal = this.#context.caches.driftSignals.get(key);
    const cluster = clusterOfNamespace(key.namespace);
    if (cluster === undefined || key.namespace === undefined) return;
    if (signal === undefined || signal.spec.state === "confirmed") {
      await this.#withdraw(key, signal);
      return;
    }
    const packInstalled = signal.spec.packInstanceRef;
    if (
      signal.spec.state !== "queued" ||
      packInstalled === undefined ||
      signal.spec.correctionJobRef !== correctionSecretName(packInstalled) ||
      isTrue(signal.status?.conditions, "TerminalDrift")
    )
      return;
    const serial = this.#serial(key.namespace, cluster, packInstalled);
    if (serial === undefined) return { requeueAfterMs: RESYNC_MS };
    const wanted = {
      _type: "Correction/v1",
      cluster,
      packInstalled,
      serial,
      correlationId: signal.spec.correlationID,
      attempt: (signal.spec.escalationCounter ?? 0) + 1,
      signalName: signal.metadata.name,
    } as const;
    const existing = await this.#secret(key.namespace, correctionSecretName(packInstalled));
    if (this.#says(existing, wanted)) return;
    this.#context.assertFenced();
    const body = encodeCorrection({ ...wanted, issuedAt: rfc3339(this.#context.clock.now()) });
    await writeSignedSecret(
      this.#context.cluster,
      {
        namespace: key.namespace,
        name: correctionSecretName(packInstalled),
        envelope: signEnvelope(PAYLOAD_TYPES.correction, body, this.#context.signer),
        labels: { [LABELS.cluster]: cluster, [LABELS.packInstalled]: labelValue(packInstalled) },
        owner: {
          apiVersion: signal.apiVersion,
          kind: signal.kind,
          name: signal.metadata.name,
          uid: signal.metadata.uid ?? "",
        },
      },
      existing,
    );
    this.#context.log.info({ cluster, packInstalled, serial, attempt: wanted.attempt }, "correction signed");
  };

  /** Serial of the manifest that is signed now: a correction never outlives its version. */
  #serial(namespace: string, cluster: string, packInstalled: string): number | undefined {
    const secret = this.#context.caches.secrets.get({ namespace, name: signedPackSecretName(cluster, packInstalled) });
    const verified = verifiedBody(secret, PAYLOAD_TYPES.packInstalled, this.#context.keys);
    return verified === undefined ? undefined : parsePackManifest(verified.body).serial;
  }

  #says(secret: SecretObject | undefined, wanted: Omit<Correction, "issuedAt">): boolean {
    const verified = verifiedBody(secret, PAYLOAD_TYPES.correction, this.#context.keys);
    if (verified === undefined || verified.keyId !== this.#context.signer.keyId) return false;
    const { issuedAt: _issuedAt, ...said } = parseCorrection(verified.body);
    return canonicalJson({ ...said }) === canonicalJson({ ...wanted });
  }

  /** The event is over: the order leaves the index (as a tombstone without body). */
  async #withdraw(key: ObjectKey, signal: DriftSignal | undefined): Promise<void> {
    const packInstalled = signal?.spec.packInstanceRef ?? key.name.replace(/^drift-/, "");
    const name = correctionSecretName(packInstalled);
    const secret = this.#context.caches.secrets.get({ namespace: key.namespace ?? "", name });
    if (secret === undefined) return;
    const verified = verifiedBody(secret, PAYLOAD_TYPES.correction, this.#context.keys);
    if (verified !== undefined && parseCorrection(verified.body).signalName !== key.name) return;
    this.#context.assertFenced();
    try {
      const { uid } = secret.metadata;
      await this.#context.cluster.delete(
        Secret,
        { namespace: key.namespace ?? "", name },
        uid === undefined ? {} : { preconditions: { uid } },
      );
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
  }

  async #secret(namespace: string, name: string): Promise<SecretObject | undefined> {
    return ifPresent(this.#context.cluster.get(Secret, { namespace, name }));
  }
}
