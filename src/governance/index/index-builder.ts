import { ConfigMap, type NamespaceObject, Secret, type SecretObject } from "../../api/builtin.ts";
import { auditObject } from "../../api/audit-record.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import type { ClusterAgent } from "../../api/kinds/talos-cluster.ts";
import {
  NAMESPACES,
  TENANT_NAMESPACE_PREFIX,
  clusterOfNamespace,
  snapshotName,
  tenantNamespace,
  tombstoneRequestName,
} from "../../api/names.ts";
import type { ObjectKey } from "../../api/object.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import { type Controller, type Result, startController } from "../../controller/controller.ts";
import { type IndexDocument, type IndexRevocation, itemKey } from "../../federation/index/index-document.ts";
import { signIndex } from "../../federation/index/encode-index.ts";
import { lackingCapability, lackingText } from "../../federation/capability/agent-capability.ts";
import { jittered } from "../../base/random.ts";
import { BY_NAMESPACE, type GovernanceContext } from "../governance-context.ts";
import { Debounce } from "./debounce.ts";
import { type DesiredItem, type ReadItem, holdsItem, readItem } from "./desired-items.ts";
import { readStoredIndex, writeIndex } from "./index-store.ts";
import { type IndexPosition, nextIndex } from "./next-index.ts";

/** Quiet time before a burst of changes becomes one index. */
const QUIET_MS = 100;
/** Longest a change waits for quiet. */
const MAX_WAIT_MS = 1_000;
/** How often tombstones are looked at again while any stand in the index. */
const TOMBSTONE_CHECK_MS = 600_000;

const TOMBSTONE_PREFIX = "seam-tombstone-signed-";

/** The last word of a tenant on one item. */
export interface ItemPosition {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
  /** Of the content; empty for a tombstone without body. */
  readonly digest: string;
  /** True from level applied on. */
  readonly applied: boolean;
}

/** What tenants said of their items, as the hub keeps it. */
export interface ItemPositions {
  read(cluster: string): Promise<readonly ItemPosition[]>;
  /** Forgets what was said of items that are in no index any more, unless more was said since. */
  forget(cluster: string, items: readonly ItemPosition[]): Promise<void>;
}

/** What the builder reads from elsewhere in the process. */
export interface IndexBuilderSources {
  /** Without it tombstones stay. */
  readonly itemPositions?: ItemPositions;
  /** Floors of the revocations that were issued for a cluster. */
  readonly revocations?: RevocationFloors;
}

/** Floors that go into the index, and word of new ones. */
export interface RevocationFloors {
  floors(cluster: string): readonly IndexRevocation[];
  /** Calls `listener` with a cluster whose floors may have changed. Returns the way to stop. */
  subscribe(listener: (cluster: string) => void): () => void;
}

/**
 * Builds and signs the index of every tenant (architecture §2.2): one controller, keyed by cluster, fed by the Secrets of the tenant
 * namespaces. A tenant has an index from the moment it has a namespace, with no items at first.
 */
export function startIndexBuilder(context: GovernanceContext, sources: IndexBuilderSources): Controller {
  const read = new WeakMap<SecretObject, ReadItem>();
  const controller = startController({
    name: "federation-index",
    reconcile: (key) => reconcile(context, sources, read, key),
    sources: [
      { synced: context.caches.namespaces.synced, subscribe: () => () => {} },
      { synced: context.caches.secrets.synced, subscribe: () => () => {} },
      { synced: context.caches.talosClusters.synced, subscribe: () => () => {} },
    ],
    metrics: context.metrics,
    clock: context.clock,
    random: context.random,
    log: context.log,
    signal: context.signal,
  });
  const debounce = new Debounce({
    quietMs: QUIET_MS,
    maxMs: MAX_WAIT_MS,
    clock: context.clock,
    signal: context.signal,
    fire: (cluster) => controller.enqueue({ name: cluster }),
  });
  const touch = (namespace: string | undefined): void => {
    const cluster = clusterOfNamespace(namespace);
    if (cluster !== undefined) debounce.touch(cluster);
  };
  context.caches.namespaces.subscribe((event) => touch(event.object.metadata.name));
  context.caches.secrets.subscribe((event) => {
    // Its own Secret is among them: a deleted or forged index is replaced at once.
    touch(event.object.metadata.namespace);
  });
  context.caches.talosClusters.subscribe((event) => {
    const { name } = event.object.metadata;
    const before = event.type === "MODIFIED" ? event.old.status?.agent?.capabilities : undefined;
    if (JSON.stringify(before) !== JSON.stringify(event.object.status?.agent?.capabilities)) debounce.touch(name);
  });
  // A floor waits for nobody's quiet (lessons §5.6).
  const newest = new Map<string, number>();
  const unsubscribe = sources.revocations?.subscribe((cluster) => {
    // Acknowledgements change nothing in an index.
    const serial = Math.max(0, ...(sources.revocations?.floors(cluster) ?? []).map((floor) => floor.serial));
    if (serial <= (newest.get(cluster) ?? 0)) return;
    newest.set(cluster, serial);
    controller.enqueue({ name: cluster });
  });
  if (unsubscribe !== undefined) context.signal.addEventListener("abort", unsubscribe, { once: true });
  return controller;
}

async function reconcile(
  context: GovernanceContext,
  sources: IndexBuilderSources,
  read: WeakMap<SecretObject, ReadItem>,
  key: ObjectKey,
): Promise<Result | void> {
  const tenant = key.name;
  const namespace = context.caches.namespaces.get({ name: TENANT_NAMESPACE_PREFIX + tenant });
  if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return;
  const { cluster, keys, signer, clock, log } = context;
  // Before the index: what was said of an item that is in no index by then is out of date.
  const said = (await sources.itemPositions?.read(tenant)) ?? [];
  const stored = await readStoredIndex(cluster, tenant, keys);
  if (stored.problem !== undefined) {
    log.error({ cluster: tenant, problem: stored.problem }, "stored index not used; the next one replaces it");
    context.events.record(namespace, "Warning", "IndexForged", stored.problem);
  }
  if (stored.position === undefined) await forgetUnnumbered(context, sources, tenant, said);
  const position = stored.position ?? newEpoch(clock.now());
  const agent = agentOf(context, tenant);
  const done = doneVersions(said);
  const next = nextIndex({
    cluster: tenant,
    previous: stored.document,
    position,
    desired: sendable(context, namespace, agent, stored.document, desiredItems(context, read, tenant)),
    revocations: sources.revocations?.floors(tenant) ?? [],
    acknowledged: (tombstone) => done.get(itemKey(tombstone)) === contentOf(tombstone),
    keyId: signer.keyId,
    nowMs: clock.now(),
  });
  if (next.action === "keep") {
    await forgetGone(context, sources, tenant, said, stored.document);
    const standing = Object.keys(position.tombstones).length > 0;
    return { requeueAfterMs: standing ? Math.min(next.renewInMs, TOMBSTONE_CHECK_MS) : next.renewInMs };
  }
  context.assertFenced();
  // Before the index that no longer names them: afterwards a crash would leave Secrets that put them in again.
  for (const secret of next.retired) await retire(context, tenant, secret);
  await writeIndex(cluster, tenant, stored, { position: next.position, envelope: signIndex(next.document, signer) });
  await forgetGone(context, sources, tenant, said, next.document);
  const { epoch, sequence, items } = next.document;
  const offered = snapshotContentOf(next.document);
  if (offered !== undefined && offered !== snapshotContentOf(stored.document))
    await context.trail.record({
      ...auditObject(PermissionSnapshot, { namespace: NAMESPACES.seam, name: snapshotName(tenant) }),
      action: "snapshot.offered",
      decision: "system",
      subject: `cluster:${tenant}`,
      details: { contentHash: offered, indexEpoch: epoch, indexSequence: sequence },
    });
  log.info({ cluster: tenant, epoch, sequence, items: items.length }, "index signed");
  // The write comes back through the watch and ends in "keep"; the delay is for the case that it does not.
  return { requeueAfterMs: jittered(context.random, TOMBSTONE_CHECK_MS) };
}

/** Digest of the snapshot's content that an index names. */
function snapshotContentOf(index: IndexDocument | undefined): string | undefined {
  return index?.items.find(({ kind, deleted }) => kind === "PermissionSnapshot" && deleted !== true)?.refs?.[0]?.digest;
}

/** The store of the numbering is new, or was lost together with the index: a higher epoch tells the tenants (architecture §2.2). */
function newEpoch(nowMs: number): IndexPosition {
  return { epoch: Math.floor(nowMs / 1000), sequence: 0, tombstones: {} };
}

function desiredItems(
  context: GovernanceContext,
  read: WeakMap<SecretObject, ReadItem>,
  tenant: string,
): readonly DesiredItem[] {
  const items: DesiredItem[] = [];
  for (const secret of context.caches.secrets.byIndex(BY_NAMESPACE, tenantNamespace(tenant))) {
    if (!holdsItem(secret) || secret.metadata.deletionTimestamp !== undefined) continue;
    let item = read.get(secret);
    if (item === undefined) {
      item = readItem(secret, tenant);
      read.set(secret, item);
      if (!item.ok) {
        context.log.warn({ cluster: tenant, secret: secret.metadata.name }, `not in the index: ${item.problem}`);
        context.events.record(secret, "Warning", "NotInIndex", item.problem);
      }
    }
    if (item.ok) items.push(item.item);
  }
  return items;
}

/** What the agent of a tenant said of itself. */
function agentOf({ caches }: GovernanceContext, name: string): ClusterAgent | undefined {
  const homes = [tenantNamespace(name), NAMESPACES.seam];
  const found = homes.map((namespace) => caches.talosClusters.get({ namespace, name })).find((each) => each);
  return found?.status?.agent;
}

/** Leaves out what the agent did not declare that it can take. What stands in the index already stays: absence never removes anything. */
function sendable(
  context: GovernanceContext,
  namespace: NamespaceObject,
  agent: ClusterAgent | undefined,
  previous: IndexDocument | undefined,
  desired: readonly DesiredItem[],
): readonly DesiredItem[] {
  const standing = new Set((previous?.items ?? []).map(itemKey));
  return desired.filter((item) => {
    const lacking = standing.has(itemKey(item)) ? undefined : lackingCapability(item.kind, agent?.capabilities);
    if (lacking === undefined) return true;
    const why = lackingText(item.kind, lacking, agent?.version ?? "");
    context.log.warn({ namespace: namespace.metadata.name, item: itemKey(item) }, `not in the index: ${why}`);
    context.events.record(namespace, "Warning", "CapabilityMissing", `${itemKey(item)}: ${why}`);
    return false;
  });
}

/** What is done of each item: exactly that version and content, for a version of another epoch or of the item itself is no word on a tombstone. */
function doneVersions(said: readonly ItemPosition[]): ReadonlyMap<string, string> {
  return new Map(said.filter(({ applied }) => applied).map((item) => [itemKey(item), contentOf(item)]));
}

function contentOf({ version, digest }: Pick<ItemPosition, "version" | "digest">): string {
  return `${version} ${digest}`;
}

/** A new epoch begins: of a tombstone without body only its version would tell whether an old word is about it. */
async function forgetUnnumbered(
  context: GovernanceContext,
  { itemPositions }: IndexBuilderSources,
  tenant: string,
  said: readonly ItemPosition[],
): Promise<void> {
  const bodiless = said.filter(({ digest }) => digest === "");
  if (bodiless.length === 0) return;
  context.assertFenced();
  await itemPositions?.forget(tenant, bodiless);
}

/** What tenants said of items that left the index is of no use any more, and would fill the store of it. */
async function forgetGone(
  context: GovernanceContext,
  { itemPositions }: IndexBuilderSources,
  tenant: string,
  said: readonly ItemPosition[],
  document: IndexDocument | undefined,
): Promise<void> {
  if (itemPositions === undefined || document === undefined) return;
  const named = new Set(document.items.map(itemKey));
  const gone = said.filter((item) => !named.has(itemKey(item)));
  if (gone.length === 0) return;
  context.assertFenced();
  await itemPositions.forget(tenant, gone);
}

/** A tombstone left the index: its Secret and its request have served. */
async function retire(context: GovernanceContext, tenant: string, secret: string): Promise<void> {
  const namespace = tenantNamespace(tenant);
  const doomed = [context.cluster.delete(Secret, { namespace, name: secret })];
  if (secret.startsWith(TOMBSTONE_PREFIX)) {
    const name = tombstoneRequestName(secret.slice(TOMBSTONE_PREFIX.length));
    doomed.push(context.cluster.delete(ConfigMap, { namespace, name }));
  }
  for (const outcome of await Promise.allSettled(doomed))
    if (outcome.status === "rejected" && !isStatus(outcome.reason, "NotFound")) throw outcome.reason;
}
