import { rfc3339 } from "../../base/clock.ts";
import { type ConfigMapObject, Secret, type SecretObject } from "../../api/builtin.ts";
import {
  LABELS,
  clusterOfNamespace,
  labelValue,
  signedPackSecretName,
  tombstoneRequestName,
  tombstoneSecretName,
} from "../../api/names.ts";
import { TOMBSTONE_REQUEST_PREFIX, type TombstoneRequest, readTombstoneRequest } from "../../api/tombstone-request.ts";
import type { LifecyclePolicies } from "../../api/kinds/lifecycle-policies.ts";
import type { ObjectKey } from "../../api/object.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import type { Result } from "../../controller/controller.ts";
import { parsePackManifest } from "../../packs/manifest/pack-manifest.ts";
import { type Tombstone, encodeTombstone, parseTombstone } from "../../packs/manifest/tombstone.ts";
import { PAYLOAD_TYPES, signEnvelope } from "../../trust/dsse.ts";
import { type GovernanceContext, RESYNC_MS } from "../governance-context.ts";
import { reserveSerial } from "./serial-ledger.ts";
import { verifiedBody, writeSignedSecret } from "./signed-secret.ts";

/**
 * Signs tombstones: the only reason for which a tenant removes a pack. A request is granted when the manifest that was
 * signed last names the same uid, and the PackInstalled with that uid is being deleted or gone. Removal policies come from that
 * signed manifest, not from the request.
 */
export class TombstoneSigner {
  readonly #context: GovernanceContext;

  constructor(context: GovernanceContext) {
    this.#context = context;
  }

  readonly reconcile = async (key: ObjectKey): Promise<Result | void> => {
    const cluster = clusterOfNamespace(key.namespace);
    if (cluster === undefined || !key.name.startsWith(TOMBSTONE_REQUEST_PREFIX)) return;
    const configMap = this.#context.caches.configMaps.get(key);
    if (configMap === undefined) return;
    const request = readTombstoneRequest(configMap);
    if (request === undefined || tombstoneRequestName(request.name) !== key.name) {
      this.#refuse(configMap, "the request does not name a PackInstalled and its uid");
      return;
    }
    const namespace = key.namespace ?? "";
    const installed = this.#context.caches.installed.get({ namespace, name: request.name });
    if (installed !== undefined && installed.metadata.deletionTimestamp === undefined) {
      this.#refuse(configMap, `PackInstalled ${request.name} is not being deleted`);
      return { requeueAfterMs: RESYNC_MS };
    }
    const existing = await this.#secret(namespace, tombstoneSecretName(request.name));
    const said = this.#held(existing);
    if (said?.uid === request.uid && said.name === request.name) return;
    const manifest = await this.#manifest(namespace, cluster, request.name);
    if (manifest !== undefined && manifest.uid !== request.uid) {
      this.#refuse(configMap, `the signed manifest of ${request.name} names another uid`);
      return { requeueAfterMs: RESYNC_MS };
    }
    if (manifest === undefined && installed?.metadata.uid !== request.uid) {
      // Neither a signed manifest nor the object vouches for the uid: nothing was delivered that this could remove.
      this.#refuse(configMap, `nothing signed is known for ${request.name} with uid ${request.uid}`);
      return { requeueAfterMs: RESYNC_MS };
    }
    await this.#sign(cluster, namespace, request, manifest, existing);
  };

  async #sign(
    cluster: string,
    namespace: string,
    request: TombstoneRequest,
    manifest: { readonly serial: number; readonly lifecyclePolicies: LifecyclePolicies } | undefined,
    existing: SecretObject | undefined,
  ): Promise<void> {
    this.#context.assertFenced();
    const serial = await reserveSerial(
      this.#context.cluster,
      cluster,
      request.name,
      Math.max(manifest?.serial ?? 0, this.#held(existing)?.serial ?? 0),
    );
    const tombstone: Tombstone = {
      _type: "Tombstone/v1",
      cluster,
      kind: "PackInstalled",
      name: request.name,
      uid: request.uid,
      serial,
      lifecyclePolicies: {
        ...manifest?.lifecyclePolicies,
        ...(request.orphan ? { deletionPolicy: "Orphan" as const } : {}),
      },
      issuedAt: rfc3339(this.#context.clock.now()),
    };
    this.#context.assertFenced();
    await writeSignedSecret(
      this.#context.cluster,
      {
        namespace,
        name: tombstoneSecretName(request.name),
        envelope: signEnvelope(PAYLOAD_TYPES.tombstone, encodeTombstone(tombstone), this.#context.signer),
        labels: { [LABELS.cluster]: cluster, [LABELS.packInstalled]: labelValue(request.name) },
      },
      existing,
    );
    this.#context.log.info({ cluster, packInstalled: request.name, serial }, "tombstone signed");
  }

  #held(secret: SecretObject | undefined): Tombstone | undefined {
    const verified = verifiedBody(secret, PAYLOAD_TYPES.tombstone, this.#context.keys);
    return verified === undefined ? undefined : parseTombstone(verified.body);
  }

  async #manifest(
    namespace: string,
    cluster: string,
    name: string,
  ): Promise<
    { readonly uid: string; readonly serial: number; readonly lifecyclePolicies: LifecyclePolicies } | undefined
  > {
    const secret = await this.#secret(namespace, signedPackSecretName(cluster, name));
    const verified = verifiedBody(secret, PAYLOAD_TYPES.packInstalled, this.#context.keys);
    return verified === undefined ? undefined : parsePackManifest(verified.body);
  }

  async #secret(namespace: string, name: string): Promise<SecretObject | undefined> {
    return ifPresent(this.#context.cluster.get(Secret, { namespace, name }));
  }

  #refuse(request: ConfigMapObject, message: string): void {
    this.#context.events.record(request, "Warning", "SigningRefused", message);
    this.#context.log.warn({ request: request.metadata.name }, `tombstone not signed: ${message}`);
  }
}
