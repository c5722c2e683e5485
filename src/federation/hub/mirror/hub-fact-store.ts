import type { DriftReport, SnapshotReceiptReport } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { PermissionSnapshot } from "../../../api/kinds/permission-snapshot.ts";
import { FIELD_MANAGERS, NAMESPACES, snapshotName } from "../../../api/names.ts";
import { type Clock, rfc3339Seconds } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { type Random, systemRandom } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { applyStatus } from "../../../controller/status.ts";
import { FactRefused, type FactStore, NO_FENCE, type WriteFence } from "../ports.ts";
import { AgentStatus } from "./agent-status.ts";
import type { ChannelState } from "./channel-state.ts";
import { type ForgottenLevel, ItemLevelStore } from "./item-level-store.ts";
import { PackReceiptMirror } from "./pack-receipt-mirror.ts";
import { SerialByKey } from "./serial-by-key.ts";
import { SignedManifests } from "./signed-manifests.ts";
import { acknowledgeSnapshot } from "./snapshot-acknowledgement.ts";
import { retryConflicts } from "./retry-conflicts.ts";
import { storing } from "./storing.ts";

/** Options of {@link createHubFactStore}. */
export interface HubFactStoreOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** Stores a drift report: the DriftSignal state machine (conductor §9.3). Resolves when durable. */
  readonly drift: (cluster: string, report: DriftReport, fence?: WriteFence) => Promise<void>;
  readonly clock: Clock;
  readonly random?: Random;
  readonly log: Log;
}

/** {@link FactStore} over the management cluster, with the state of the channel beside it. */
export interface HubFactStore extends FactStore {
  /** Writes a transition of a tenant's channel to its RunnerConfig. Transitions only; resolves when durable. */
  channel(cluster: string, state: ChannelState): Promise<void>;
  /** Writes that the channel of a session is down of which nobody could say so, unless more is known since. */
  channelLost(cluster: string, term: bigint, detail: string): Promise<void>;
  /** Forgets what was said of items that left the tenant's index, unless more was said since. */
  forgetItems(cluster: string, items: readonly ForgottenLevel[]): Promise<void>;
}

/** Mirrors tenants' facts onto the management cluster. Holds no state of its own: every write reads what stands there first. */
export function createHubFactStore(options: HubFactStoreOptions): HubFactStore {
  const { cluster, clock, log, random = systemRandom } = options;
  const serial = new SerialByKey();
  const parts = { cluster, clock, random, serial };
  const receipts = new PackReceiptMirror({ ...parts, signed: new SignedManifests(cluster) });
  const agents = new AgentStatus(parts);
  const levels = new ItemLevelStore({ cluster, clock, random, log });
  return {
    packReceipt: (id, report, fence = NO_FENCE) => receipts.store(id, report, fence),
    snapshotReceipt: (id, report, fence = NO_FENCE) =>
      serial.run(`snapshot/${id}`, () =>
        storing(`PermissionSnapshot ${id}`, () =>
          retryConflicts({ clock, random }, () => storeSnapshotReceipt(options, id, report, fence)),
        ),
      ),
    drift: options.drift,
    capability: (id, declaration, fence = NO_FENCE) => agents.declare(id, declaration, fence),
    items: async (id, reports, fence = NO_FENCE) => {
      const packs = reports.filter((report) => report.kind === "PackInstalled");
      await Promise.all([
        levels.store(id, reports, fence),
        ...packs.map((report) => receipts.storeLevel(id, report, fence)),
      ]);
    },
    itemLevels: (id) => levels.read(id),
    forgetItems: (id, gone) => levels.forget(id, gone),
    channel: (id, state) => agents.channel(id, state),
    channelLost: (id, term, detail) => agents.lost(id, term, detail),
  };
}

async function storeSnapshotReceipt(
  options: HubFactStoreOptions,
  cluster: string,
  report: SnapshotReceiptReport,
  fence: WriteFence,
): Promise<void> {
  const key = { namespace: NAMESPACES.seam, name: snapshotName(cluster) };
  const snapshot = await ifPresent(options.cluster.get(PermissionSnapshot, key));
  if (snapshot === undefined)
    throw new FactRefused("SNAPSHOT_UNKNOWN", `PermissionSnapshot ${key.namespace}/${key.name} does not exist`);
  const { fields, conditions } = acknowledgeSnapshot(snapshot, report, rfc3339Seconds(options.clock.now()));
  await fence.hold();
  const content = { fields, conditions, unchanged: true } as const;
  await applyStatus(options, PermissionSnapshot, snapshot, content, FIELD_MANAGERS.hub);
}
