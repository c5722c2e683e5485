import { Secret } from "../../api/builtin.ts";
import { type AuditTrail, auditObject } from "../../api/audit-record.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { NAMESPACES, signedSnapshotSecretName, snapshotName, tenantNamespace } from "../../api/names.ts";
import type { ObjectKey } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { Result } from "../../controller/controller.ts";
import type { ComputedContent } from "../../permissions/builder/computed-content.ts";
import { MAX_CLOCK_SKEW_MS } from "../../permissions/snapshot/limits.ts";
import {
  type SnapshotPosition,
  comparePositions,
  snapshotVersion,
} from "../../permissions/snapshot/snapshot-version.ts";
import { type SnapshotStatement, parseStatement, signStatement } from "../../permissions/snapshot/statement.ts";
import { type KeyLookup, type Signer, decodeEnvelope } from "../../trust/dsse.ts";
import type { PermissionCaches } from "./permission-caches.ts";
import { deliveryState } from "./delivery-overdue.ts";
import { type LedgerEntry, type StoredLedger, readLedger, writeLedger } from "./snapshot-ledger.ts";
import {
  type StoredContent,
  type StoredSnapshot,
  carriesContent,
  chunksNamedBy,
  namesOf,
  readSignedSnapshot,
  removeSignedSnapshot,
  storedContent,
  writeSignedSnapshot,
} from "./signed-snapshot.ts";
import { type PublishedSnapshot, writeSnapshotObject, writeSnapshotStatus } from "./snapshot-object.ts";

/** Share of the freshness window after which a statement is issued again. */
const RENEW_AT = 0.5;
/** Renewals of a fleet are spread over this share of the window. */
const RENEW_SPREAD = 0.1;
/** A statement this close to its renewal is renewed now, and the next look is at least this far away, milliseconds. */
const MIN_REQUEUE_MS = 500;

/** What the signer works with. */
export interface SnapshotSignerParts {
  readonly cluster: Cluster;
  readonly signer: Signer;
  readonly keys: KeyLookup;
  readonly caches: {
    readonly snapshots: Pick<PermissionCaches["snapshots"], "get">;
    readonly secrets: Pick<PermissionCaches["secrets"], "get">;
  };
  /** Content that was computed in this process; undefined for a cluster that gets none. The only content that is ever signed. */
  readonly computed: (cluster: string) => ComputedContent | undefined;
  /** Revocation floor of a cluster; 0 when nothing was revoked. */
  readonly minSequence: (cluster: string) => number;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  /** Called after a version was published. */
  readonly published: (cluster: string, version: string) => void;
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * Signs the snapshot of one cluster (permissions §8.4, §9.2): not an oracle, since what it signs never comes from an object. A changed
 * content gets the next sequence, durable in the ledger before it is signed; unchanged content gets a new statement at half of the
 * freshness window. Anything that stands in the Secret and does not verify is replaced.
 */
export class SnapshotSigner {
  readonly #parts: SnapshotSignerParts;

  constructor(parts: SnapshotSignerParts) {
    this.#parts = parts;
  }

  readonly reconcile = async ({ name: tenant }: ObjectKey): Promise<Result | void> => {
    const { cluster, keys, caches, log, clock, assertFenced } = this.#parts;
    const computed = this.#parts.computed(tenant);
    if (computed === undefined) {
      await this.#retire(tenant);
      return;
    }
    const [ledger, stored] = await Promise.all([
      readLedger(cluster, tenant),
      readSignedSnapshot(cluster, tenant, keys),
    ]);
    if (stored.forged) {
      log.error({ cluster: tenant, secret: signedSnapshotSecretName(tenant) }, "signature.forged: replaced");
      await this.#parts.trail.record({
        ...auditObject(Secret, { namespace: tenantNamespace(tenant), name: signedSnapshotSecretName(tenant) }),
        action: "signature.forged",
        decision: "deny",
        subject: `cluster:${tenant}`,
        code: "SIGNATURE_INVALID",
      });
    }
    const minSequence = this.#parts.minSequence(tenant);
    const entry = await this.#position(tenant, computed, ledger, stored, minSequence);
    const content = await storedContent(computed);
    const held = this.#held(stored, entry, computed, content, minSequence);
    const published = held ?? this.#sign(tenant, computed, content, entry, minSequence);
    if (held === undefined) {
      assertFenced();
      // Renewals of a version are no news (permissions §9.5).
      if (stored.statement === undefined || comparePositions(stored.statement, published.statement) !== 0)
        await this.#tell("snapshot.signed", tenant, published.statement);
    }
    const existing = caches.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(tenant) });
    const object = await writeSnapshotObject(cluster, existing, published);
    if (held === undefined) {
      const { envelope } = published;
      await writeSignedSnapshot(cluster, tenant, stored, { envelope, content });
    }
    await writeSnapshotStatus({ cluster, clock }, object, published);
    this.#parts.published(tenant, published.statement.version);
    const { changesAtMs = Number.POSITIVE_INFINITY } = deliveryState(object, clock.now());
    const againAtMs = Math.min(this.#renewAtMs(published.statement, computed), changesAtMs);
    return { requeueAfterMs: Math.max(MIN_REQUEUE_MS, againAtMs - clock.now()) };
  };

  /** The position of this content: the one it already has, or the next one, made durable first. */
  async #position(
    tenant: string,
    computed: ComputedContent,
    ledger: StoredLedger,
    stored: StoredSnapshot,
    minSequence: number,
  ): Promise<LedgerEntry> {
    const { cluster, clock, caches, log } = this.#parts;
    const last = this.#withinClock(tenant, furthest(ledger.entry, stored.statement));
    const object = caches.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(tenant) });
    const ahead = this.#reportedAhead(object, last);
    const same = last?.contentHash === computed.contentHash && last.sequence >= minSequence;
    if (last !== undefined && same && ahead === undefined) {
      if (ledger.entry === undefined || comparePositions(last, ledger.entry) !== 0)
        await writeLedger(cluster, tenant, ledger, last);
      return last;
    }
    // A lost ledger begins a new epoch, higher than anything that was ever published, and so does one that is behind its tenant
    // (permissions §8.4).
    const now = Math.floor(clock.now() / 1000);
    if (ahead !== undefined)
      log.warn(
        { cluster: tenant, held: ahead },
        "the tenant is ahead of this hub: a new epoch begins; was it restored?",
      );
    const shown = object?.spec.epoch ?? 0;
    const epoch =
      ahead !== undefined
        ? Math.max(now, ahead.epoch + 1)
        : (last?.epoch ?? (shown * 1000 > clock.now() + MAX_CLOCK_SKEW_MS ? now : Math.max(now, shown + 1)));
    const sequence = Math.max(ahead === undefined ? (last?.sequence ?? 0) + 1 : 1, minSequence);
    const next: LedgerEntry = { epoch, sequence, contentHash: computed.contentHash };
    this.#parts.assertFenced();
    await writeLedger(cluster, tenant, ledger, next);
    log.info({ cluster: tenant, epoch, sequence, contentHash: computed.contentHash }, "permission snapshot changed");
    await this.#tell("permissionsnapshot.computed", tenant, {
      ...next,
      version: snapshotVersion(next, computed.contentHash),
    });
    return next;
  }

  /**
   * Nothing that was given out, when its epoch lies in the future: it was begun under a clock that was wrong, and no tenant takes it until
   * then. A new epoch begins now; a tenant whose clock was wrong too is met by {@link #reportedAhead} when its time has come.
   */
  #withinClock(tenant: string, last: LedgerEntry | undefined): LedgerEntry | undefined {
    const { clock, log } = this.#parts;
    if (last === undefined || last.epoch * 1000 <= clock.now() + MAX_CLOCK_SKEW_MS) return last;
    log.error(
      { cluster: tenant, epoch: last.epoch },
      "the epoch given out lies in the future: a new one begins; was the clock wrong?",
    );
    return undefined;
  }

  /**
   * What the tenant holds when it is ahead of all that was given out here, or holds another content at the last position: the hub's
   * mirror tells one of these alone, so an equal position means the latter. Its word moves nothing but its own snapshot, at the pace of
   * renewals, and never beyond the clock, as no tenant takes an epoch from the future.
   */
  #reportedAhead(object: PermissionSnapshot | undefined, last: LedgerEntry | undefined): SnapshotPosition | undefined {
    const { reportedEpoch: epoch, reportedSequence: sequence } = object?.status ?? {};
    if (epoch === undefined || sequence === undefined) return undefined;
    if (epoch > Math.floor(this.#parts.clock.now() / 1000)) return undefined;
    const held = { epoch, sequence };
    return comparePositions(held, last ?? { epoch: 0, sequence: 0 }) >= 0 ? held : undefined;
  }

  /** The stored envelope when it says exactly what should be said and is not due for renewal. */
  #held(
    stored: StoredSnapshot,
    entry: LedgerEntry,
    computed: ComputedContent,
    content: StoredContent,
    minSequence: number,
  ): PublishedSnapshot | undefined {
    const { statement, secret } = stored;
    const { signer, clock } = this.#parts;
    if (statement === undefined || secret === undefined) return undefined;
    const current =
      comparePositions(statement, entry) === 0 &&
      statement.contentHash === computed.contentHash &&
      statement.minSequence === minSequence &&
      statement.keyId === signer.keyId &&
      statement.issuedAtMs <= clock.now() &&
      carriesContent(secret, content);
    if (!current || clock.now() >= this.#renewAtMs(statement, computed) - MIN_REQUEUE_MS) return undefined;
    const envelope = decodeEnvelope(Buffer.from(secret.data?.["envelope"] ?? "", "base64"));
    return envelope && { computed, statement, envelope, chunks: chunksNamedBy(secret) };
  }

  #sign(
    tenant: string,
    computed: ComputedContent,
    content: StoredContent,
    entry: LedgerEntry,
    minSequence: number,
  ): PublishedSnapshot {
    const { signer, clock, log } = this.#parts;
    const { contentHash, freshnessWindowSeconds, maxOfflineSeconds } = computed;
    const envelope = signStatement(
      {
        cluster: tenant,
        epoch: entry.epoch,
        sequence: entry.sequence,
        contentHash,
        issuedAtMs: clock.now(),
        freshnessWindowSeconds,
        maxOfflineSeconds,
        minSequence,
      },
      signer,
    );
    const statement = parseStatement(envelope.body);
    log.debug({ cluster: tenant, version: statement.version }, "permission snapshot signed");
    return { computed, statement, envelope, chunks: namesOf(content.chunks) };
  }

  #renewAtMs(statement: SnapshotStatement, { freshnessWindowSeconds }: ComputedContent): number {
    const windowMs = freshnessWindowSeconds * 1000;
    // The spread follows from the content, so that one cluster's renewals keep their distance and a fleet's do not meet.
    const spread = (Number.parseInt(statement.contentHash.slice(-4), 16) + hashOf(statement.cluster)) % 1000;
    return statement.issuedAtMs + windowMs * (RENEW_AT - (RENEW_SPREAD * spread) / 1000);
  }

  #tell(
    action: "permissionsnapshot.computed" | "snapshot.signed",
    tenant: string,
    of: SnapshotPosition & { readonly contentHash: string; readonly version: string; readonly keyId?: string },
  ): Promise<void> {
    const { epoch, sequence, contentHash, version, keyId } = of;
    return this.#parts.trail.record({
      ...auditObject(PermissionSnapshot, { namespace: NAMESPACES.seam, name: snapshotName(tenant) }),
      action,
      decision: "system",
      subject: `cluster:${tenant}`,
      snapshotVersion: version,
      details: { cluster: tenant, epoch, sequence, contentHash, ...(keyId !== undefined && { keyId }) },
    });
  }

  /** A cluster that is no longer governed: its snapshot is withdrawn, so no new statement keeps it alive. */
  async #retire(tenant: string): Promise<void> {
    const { cluster, caches, log, assertFenced } = this.#parts;
    const key = { namespace: NAMESPACES.seam, name: snapshotName(tenant) };
    const secret = caches.secrets.get({ namespace: tenantNamespace(tenant), name: signedSnapshotSecretName(tenant) });
    const object = caches.snapshots.get(key);
    if (secret === undefined && object?.spec.targetCluster !== tenant) return;
    assertFenced();
    if (secret !== undefined) await removeSignedSnapshot(cluster, tenant, secret);
    try {
      if (object?.spec.targetCluster === tenant) await cluster.delete(PermissionSnapshot, key);
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
    log.info({ cluster: tenant }, "permission snapshot withdrawn: the cluster is not governed any more");
    await this.#parts.trail.record({
      ...auditObject(PermissionSnapshot, key),
      action: "permissionsnapshot.withdrawn",
      decision: "system",
      subject: `cluster:${tenant}`,
      ...(object !== undefined && { snapshotVersion: object.spec.version }),
    });
  }
}

/** The further of what the ledger gave out and what was signed; equal positions with two contents count as no content. */
function furthest(entry: LedgerEntry | undefined, statement: SnapshotStatement | undefined): LedgerEntry | undefined {
  if (statement === undefined) return entry;
  const signed = { epoch: statement.epoch, sequence: statement.sequence, contentHash: statement.contentHash };
  if (entry === undefined) return signed;
  const order = comparePositions(entry, signed);
  if (order === 0) return entry.contentHash === signed.contentHash ? entry : { ...entry, contentHash: "" };
  return order > 0 ? entry : signed;
}

function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) % 65_536;
  return hash;
}
