import { aborted } from "../base/aborted.ts";
import { factOutbox } from "../federation/outbox/fact-outbox.ts";
import { startAuditHandover } from "../federation/spoke/audit/audit-handover.ts";
import { followMirror } from "../federation/spoke/replicas/follow-mirror.ts";
import type { AgentOptions } from "./agent-options.ts";
import { ClosingOrder } from "./closing.ts";
import { type TenantLeader, type TenantLeaderOptions, auditCap, leaderOf, storeDirectoryOf } from "./tenant-leader.ts";
import { openTenantStore } from "./tenant-store.ts";

/** Longest that a replica waits for the mirror before it answers by what it holds itself, milliseconds: an API server that is away denies nobody. */
const MIRROR_WAIT_MS = 10_000;
/** Bits of chance in the epoch of a replica's own log: two that start in one second have one numbering each. */
const EPOCH_CHANCE_BITS = 20;

/**
 * A replica of a tenant that answers questions and does nothing else (conductor §6.4): it follows what the tenant's agent has verified and
 * mirrored on the tenant cluster, and hands its audit events to it.
 */
export async function followTenant(options: TenantLeaderOptions): Promise<TenantLeader> {
  const { clusterId, cluster, store, keyRing, facts, clock, random, log, signal } = options;
  const name = leaderOf(options);
  const closing = new ClosingOrder();
  const storing = closing.stage("store");
  const state = openTenantStore({
    directory: storeDirectoryOf(options),
    ...auditCap(options),
    auditEpoch: followerEpoch(options),
    facts,
    told: () => {},
    clock,
    random,
    log,
    signal: storing,
  });
  closing.add(state.health.closed);
  const { outbox } = state;
  const listener = { factPending: () => {}, auditAppended: () => {} };
  facts.open(factOutbox({ cluster: clusterId, outbox, clock, random, listener }));
  const working = closing.stage("follower");
  const common = { clusterId, cluster, clock, random, log, signal: working };
  closing.add(startAuditHandover({ ...common, outbox }).closed);
  const mirror = followMirror({ ...common, name, store, keys: keyRing.ring });
  closing.add(mirror.closed);
  const release = async (): Promise<void> => {
    await Promise.race([
      mirror.looked,
      clock.sleep(MIRROR_WAIT_MS, working).catch(() => {
        // the replica stops
      }),
      aborted(working),
    ]);
    store.withhold(undefined);
  };
  closing.add(release());
  log.info({ replica: name }, "answering by what the tenant's agent verifies and mirrors");
  return {
    readiness: () => (state.health.state().state === "UNAVAILABLE" ? state.health.state().detail : undefined),
    auditLog: () => state.health.state(),
    replica: () => ({ name, leads: false, leader: mirror.leader() }),
    closed: closing.closeOn(signal, log).then(() => outbox.close()),
  };
}

function followerEpoch({ clock, random }: AgentOptions): bigint {
  const chance = BigInt(Math.floor(random.next() * 2 ** EPOCH_CHANCE_BITS));
  return (BigInt(Math.floor(clock.now() / 1000)) << BigInt(EPOCH_CHANCE_BITS)) + chance;
}
