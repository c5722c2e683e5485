import type { SecretObject } from "../../api/builtin.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { RunnerConfig } from "../../api/kinds/runner-config.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { GOVERNANCE_SECRET_PREFIX, LABELS, NAMESPACES, tenantNamespace } from "../../api/names.ts";
import type { ObjectKey } from "../../api/object.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import {
  type GovernanceBody,
  type MirroredKind,
  encodeGovernance,
  governanceItemName,
  parseGovernance,
} from "../../federation/governance/governance-body.ts";
import { PAYLOAD_TYPES, signEnvelope } from "../../trust/dsse.ts";
import { BY_NAMESPACE, type GovernanceContext } from "../governance-context.ts";
import { reserveSerial } from "./serial-ledger.ts";
import { verifiedBody, writeSignedSecret } from "./signed-secret.ts";

/** Caches of what is mirrored. */
export interface MirroredCaches {
  readonly policies: Informer<RBACPolicy>;
  readonly profiles: Informer<RBACProfile>;
  readonly runnerConfigs: Informer<RunnerConfig>;
  readonly talosClusters: Informer<TalosCluster>;
}

/** What a tenant gets of its own namespace (conductor §8). */
const POLICY = "cluster-policy";
const PROFILE = "conductor-tenant";
/** Fields of TalosCluster that a tenant is told: what drift of versions is compared with, and no more. */
const TALOS_FIELDS = ["mode", "role", "talosVersion", "kubernetesVersion", "clusterEndpoint"] as const;

interface Wanted {
  readonly kind: MirroredKind;
  readonly name: string;
  readonly spec: JsonObject;
}

/**
 * Signs what a tenant must hold of its own governance: its policy, its agent's profile, its RunnerConfig and what it is declared to be.
 * One loop, keyed by cluster. An object that is gone is signed as a removal; nothing is ever removed for want of a Secret.
 */
export class GovernanceSigner {
  readonly #context: GovernanceContext;
  readonly #caches: MirroredCaches;

  constructor(context: GovernanceContext, caches: MirroredCaches) {
    this.#context = context;
    this.#caches = caches;
  }

  readonly reconcile = async ({ name: cluster }: ObjectKey): Promise<void> => {
    const namespace = tenantNamespace(cluster);
    const home = this.#context.caches.namespaces.get({ name: namespace });
    if (home === undefined || home.metadata.deletionTimestamp !== undefined) return;
    const wanted = new Map(this.#wanted(cluster).map((object) => [governanceItemName(object), object]));
    for (const [item, object] of wanted)
      await this.#sign(cluster, item, { ...object, deleted: false }, this.#secret(namespace, item));
    for (const secret of this.#context.caches.secrets.byIndex(BY_NAMESPACE, namespace)) {
      if (!secret.metadata.name.startsWith(GOVERNANCE_SECRET_PREFIX)) continue;
      const item = secret.metadata.name.slice(GOVERNANCE_SECRET_PREFIX.length);
      const said = this.#said(secret);
      if (wanted.has(item) || said === undefined || said.deleted) continue;
      await this.#sign(cluster, item, { kind: said.kind, name: said.name, spec: {}, deleted: true }, secret);
    }
  };

  #wanted(cluster: string): readonly Wanted[] {
    const namespace = tenantNamespace(cluster);
    const { policies, profiles, runnerConfigs, talosClusters } = this.#caches;
    const talos =
      talosClusters.get({ namespace, name: cluster }) ??
      talosClusters.get({ namespace: NAMESPACES.seam, name: cluster });
    const declared =
      talos === undefined
        ? undefined
        : Object.fromEntries(
            TALOS_FIELDS.flatMap((field) => (talos.spec[field] === undefined ? [] : [[field, talos.spec[field]]])),
          );
    const found: readonly (readonly [MirroredKind, string, object | undefined])[] = [
      ["RBACPolicy", POLICY, policies.get({ namespace, name: POLICY })?.spec],
      ["RBACProfile", PROFILE, profiles.get({ namespace, name: PROFILE })?.spec],
      ["RunnerConfig", cluster, runnerConfigs.get({ namespace: NAMESPACES.ont, name: cluster })?.spec],
      ["TalosCluster", cluster, declared],
    ];
    return found.flatMap(([kind, name, spec]) =>
      spec === undefined ? [] : [{ kind, name, spec: JSON.parse(JSON.stringify(spec)) as JsonObject }],
    );
  }

  #secret(namespace: string, item: string): SecretObject | undefined {
    return this.#context.caches.secrets.get({ namespace, name: GOVERNANCE_SECRET_PREFIX + item });
  }

  #said(secret: SecretObject | undefined): GovernanceBody | undefined {
    const verified = verifiedBody(secret, PAYLOAD_TYPES.governance, this.#context.keys);
    return verified === undefined ? undefined : parseGovernance(verified.body);
  }

  async #sign(
    cluster: string,
    item: string,
    object: Wanted & Pick<GovernanceBody, "deleted">,
    existing: SecretObject | undefined,
  ): Promise<void> {
    const { keys, signer, log, assertFenced } = this.#context;
    const verified = verifiedBody(existing, PAYLOAD_TYPES.governance, keys);
    const said = verified === undefined ? undefined : parseGovernance(verified.body);
    if (
      said !== undefined &&
      verified?.keyId === signer.keyId &&
      same({ ...said }, { ...object, cluster, serial: said.serial })
    )
      return;
    assertFenced();
    const serial = await reserveSerial(this.#context.cluster, cluster, `governance-${item}`, said?.serial ?? 0);
    const { kind, name, spec, deleted } = object;
    await writeSignedSecret(
      this.#context.cluster,
      {
        namespace: tenantNamespace(cluster),
        name: GOVERNANCE_SECRET_PREFIX + item,
        envelope: signEnvelope(
          PAYLOAD_TYPES.governance,
          encodeGovernance({ cluster, kind, name, serial, deleted, spec }),
          signer,
        ),
        labels: { [LABELS.cluster]: cluster },
      },
      existing,
    );
    log.info({ cluster, kind, name, serial, deleted }, "governance object signed");
  }
}

function same(a: JsonObject, b: JsonObject): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
