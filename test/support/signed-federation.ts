import { ItemReport_Level as Level } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { Secret } from "../../src/api/builtin.ts";
import { GOVERNANCE_SECRET_PREFIX, tenantNamespace } from "../../src/api/names.ts";
import type { Clock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import {
  type GovernanceBody,
  encodeGovernance,
  governanceItemName,
} from "../../src/federation/governance/governance-body.ts";
import {
  type RunningDesiredStates,
  startDesiredStates,
} from "../../src/federation/hub/desired-states/desired-states.ts";
import { type HubFactStore, createHubFactStore } from "../../src/federation/hub/mirror/hub-fact-store.ts";
import { startGovernance } from "../../src/governance/start-governance.ts";
import { ifPresent } from "../../src/cluster/if-present.ts";
import { PAYLOAD_TYPES, encodeEnvelope, signEnvelope } from "../../src/trust/dsse.ts";
import { FederationRig } from "./federation-rig.ts";
import { type TestManagementCluster, openManagementCluster } from "./management-cluster.ts";
import { RecordedMetrics } from "./recorded-metrics.ts";

/** A federation whose indexes are built and signed by the real loops, over a management cluster that also keeps what the agents say. */
export interface SignedFederation {
  readonly rig: FederationRig;
  readonly management: TestManagementCluster;
  readonly facts: HubFactStore;
  readonly desired: RunningDesiredStates;
  startHub(): Promise<void>;
  /** Signs an object of the governance lane and puts it where the index builder finds it. */
  say(body: Pick<GovernanceBody, "kind" | "name" | "serial" | "deleted">): Promise<void>;
  /** Signs a body and keeps it in a Secret of the tenant's namespace. */
  put(secret: string, type: keyof typeof PAYLOAD_TYPES, body: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Opens it with one tenant. */
export async function openSignedFederation(tenant: string, clock: Clock): Promise<SignedFederation> {
  const stop = new AbortController();
  const [rig, management] = await Promise.all([FederationRig.create([tenant]), openManagementCluster(clock)]);
  await management.addTenant(tenant);
  const { cluster } = management;
  const packs = { get: () => Promise.reject(new Error("no packs here")) };
  const { log } = rig.recorded;
  const parts = { cluster, clock, random: systemRandom, log, signal: stop.signal, keys: rig.keys };
  const facts = createHubFactStore({ ...parts, drift: () => Promise.resolve() });
  const desired = await startDesiredStates({ ...parts, packs, metrics: new RecordedMetrics() });
  const governance = await startGovernance({
    ...parts,
    signer: rig.signer,
    packStore: packs,
    mirrorObjects: false,
    itemPositions: {
      read: async (id) =>
        (await facts.itemLevels(id)).map(({ kind, name, version, digest, level }) => ({
          kind,
          name,
          version: Number(version),
          digest,
          applied: level >= Level.APPLIED,
        })),
      forget: (id, items) => facts.forgetItems(id, items),
    },
  });
  const put = async (name: string, type: keyof typeof PAYLOAD_TYPES, body: Uint8Array): Promise<void> => {
    const key = { namespace: tenantNamespace(tenant), name };
    const data = {
      envelope: Buffer.from(encodeEnvelope(signEnvelope(PAYLOAD_TYPES[type], body, rig.signer))).toString("base64"),
    };
    const held = await ifPresent(cluster.get(Secret, key));
    if (held === undefined) await cluster.create(Secret, { apiVersion: "v1", kind: "Secret", metadata: key, data });
    else await cluster.update(Secret, { ...held, data });
  };
  return {
    rig,
    management,
    facts,
    desired,
    startHub: async () => {
      await rig.hub({ desired, facts, clock });
    },
    say: (parts) => {
      const spec = parts.deleted ? {} : { text: `${parts.name} ${parts.serial}` };
      const body = encodeGovernance({ cluster: tenant, spec, ...parts });
      return put(GOVERNANCE_SECRET_PREFIX + governanceItemName(parts), "governance", body);
    },
    put,
    close: async () => {
      await rig.close();
      stop.abort();
      await Promise.all([desired.closed, governance.closed]);
      await management.close();
    },
  };
}
