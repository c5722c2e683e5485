import type {
  CapabilityDeclaration,
  DriftReport,
  PackReceiptReport,
  SnapshotReceiptReport,
} from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { RevocationPush } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { ItemReport } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { type Clock, rfc3339 } from "../../src/base/clock.ts";
import { type Digest, digestOf } from "../../src/base/digest.ts";
import { signIndex } from "../../src/federation/index/encode-index.ts";
import {
  type IndexItem,
  type IndexRevocation,
  type ItemKind,
  itemKey,
} from "../../src/federation/index/index-document.ts";
import { compareRevocations } from "../../src/federation/index/index-order.ts";
import {
  type RevocationLedger,
  addRevocation,
  revocationPush,
} from "../../src/federation/hub/revocations/revocation-record.ts";
import type { DeniedEntry } from "../../src/federation/hub/tenant-directory/deny-list.ts";
import type {
  AcknowledgedRevocation,
  DesiredIndex,
  DesiredStates,
  FactStore,
  RetryOrders,
  RevocationOutbox,
  SessionOwnership,
  TenantDirectory,
  TenantVerdict,
} from "../../src/federation/hub/ports.ts";
import type { RetryOrder } from "../../src/federation/session/hub/retry-order.ts";
import type { Signer } from "../../src/trust/dsse.ts";

/** Desired state in memory, signed like the real one. Survives a "restart" of the hub when the test keeps the object. */
export class MemoryDesiredStates implements DesiredStates {
  readonly #signer: Signer;
  readonly #clock: Clock;
  readonly #indexes = new Map<string, DesiredIndex>();
  readonly #bodies = new Map<string, Uint8Array>();
  readonly #listeners = new Set<(cluster: string) => void>();
  readonly #epoch: number;

  /** @param epoch of every index, Unix seconds */
  constructor(signer: Signer, clock: Clock, epoch = Math.floor(clock.now() / 1000)) {
    this.#signer = signer;
    this.#clock = clock;
    this.#epoch = epoch;
  }

  /** How long an index is valid, milliseconds. */
  validityMs = 3_600_000;

  /** Signs a new index in which `kind/name` has this body and these refs; keeps every other item. */
  put(cluster: string, kind: ItemKind, name: string, body: Uint8Array, refs: readonly Uint8Array[] = []): number {
    const digest = this.#hold(body);
    const held = refs.map((ref) => ({ digest: this.#hold(ref), size: ref.length }));
    return this.#sign(cluster, (version) => [
      { kind, name, version, digest, size: body.length, ...(held.length === 0 ? {} : { refs: held }) },
    ]);
  }

  /** Signs one new index in which these items have these bodies. */
  putAll(
    cluster: string,
    kind: ItemKind,
    bodies: readonly { readonly name: string; readonly body: Uint8Array }[],
  ): number {
    return this.#sign(cluster, (version) =>
      bodies.map(({ name, body }) => ({ kind, name, version, digest: this.#hold(body), size: body.length })),
    );
  }

  /** Signs a new index in which `kind/name` is a tombstone, with the signed removal as its body where the kind has one. */
  remove(cluster: string, kind: ItemKind, name: string, body?: Uint8Array): number {
    const held =
      body === undefined ? { digest: "" as const, size: 0 } : { digest: this.#hold(body), size: body.length };
    return this.#sign(cluster, (version) => [{ kind, name, version, ...held, deleted: true }]);
  }

  /** Puts back an index that was signed before. Its bodies are {@link holdBodies}'s. */
  restore(cluster: string, index: DesiredIndex): void {
    this.#indexes.set(cluster, index);
  }

  holdBodies(bodies: Iterable<Uint8Array>): void {
    for (const body of bodies) this.#hold(body);
  }

  /** Replaces the bytes behind a digest: what a registry with a broken disk would serve. */
  corrupt(digest: string, bytes: Uint8Array): void {
    this.#bodies.set(digest, bytes);
  }

  current(cluster: string): DesiredIndex | undefined {
    return this.#indexes.get(cluster);
  }

  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async blob(_cluster: string, digest: string): Promise<Uint8Array | undefined> {
    return this.#bodies.get(digest);
  }

  /** The body behind a digest. */
  held(digest: string): Uint8Array | undefined {
    return this.#bodies.get(digest);
  }

  #hold(body: Uint8Array): Digest {
    const digest = digestOf(body);
    this.#bodies.set(digest, body);
    return digest;
  }

  /** Signs a new index with one more revocation floor. */
  revoke(cluster: string, revocation: IndexRevocation): number {
    const revocations = this.#indexes.get(cluster)?.document.revocations ?? [];
    return this.#sign(cluster, () => [], [...revocations, revocation].sort(compareRevocations));
  }

  #sign(
    cluster: string,
    itemsAt: (sequence: number) => readonly IndexItem[],
    floors?: readonly IndexRevocation[],
  ): number {
    const before = this.#indexes.get(cluster)?.document;
    const sequence = (before?.sequence ?? 0) + 1;
    const byKey = new Map((before?.items ?? []).map((item) => [itemKey(item), item]));
    for (const item of itemsAt(sequence)) byKey.set(itemKey(item), item);
    const items = [...byKey.values()].sort((a, b) => (itemKey(a) < itemKey(b) ? -1 : 1));
    const now = this.#clock.now();
    const document = {
      _type: "FederationIndex/v1" as const,
      cluster,
      epoch: this.#epoch,
      sequence,
      issuedAt: rfc3339(now),
      expiresAt: rfc3339(now + this.validityMs),
      keyId: this.#signer.keyId,
      items,
      revocations: floors ?? before?.revocations ?? [],
    };
    const envelope = signIndex(document, this.#signer);
    this.#indexes.set(cluster, { document, envelope, digest: digestOf(envelope.body) });
    for (const listener of this.#listeners) listener(cluster);
    return sequence;
  }
}

/** Operator's retries in memory. Survives a "restart" of the hub when the test keeps the object. */
export class MemoryRetryOrders implements RetryOrders {
  readonly #orders = new Map<string, readonly RetryOrder[]>();
  readonly #listeners = new Set<(cluster: string) => void>();
  /** Ids of the orders that are over, in that order. */
  readonly over: string[] = [];

  order(cluster: string, order: RetryOrder): void {
    this.#put(cluster, [...this.pending(cluster), order]);
  }

  pending(cluster: string): readonly RetryOrder[] {
    return this.#orders.get(cluster) ?? [];
  }

  async settled(cluster: string, id: string): Promise<void> {
    this.over.push(id);
    this.#put(
      cluster,
      this.pending(cluster).filter((order) => order.id !== id),
    );
  }

  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #put(cluster: string, orders: readonly RetryOrder[]): void {
    this.#orders.set(cluster, orders);
    for (const listener of this.#listeners) listener(cluster);
  }
}

/** Facts in memory, by cluster and key. */
export class MemoryFactStore implements FactStore {
  readonly receipts = new Map<string, PackReceiptReport>();
  readonly snapshots = new Map<string, SnapshotReceiptReport>();
  readonly drifts = new Map<string, DriftReport>();
  readonly capabilities = new Map<string, CapabilityDeclaration>();
  readonly levels = new Map<string, Map<string, ItemReport>>();
  /** Called after each change. */
  onChange: () => void = () => {};
  /** Called with the item reports of each store that is about to happen. */
  onItems: (reports: readonly ItemReport[]) => void = () => {};
  /** Set to make stores fail, as an API server that is away does. */
  failing = false;

  async packReceipt(cluster: string, report: PackReceiptReport): Promise<void> {
    this.#stored();
    this.receipts.set(`${cluster}/${report.receiptName}`, report);
    this.onChange();
  }

  async snapshotReceipt(cluster: string, report: SnapshotReceiptReport): Promise<void> {
    this.#stored();
    this.snapshots.set(cluster, report);
    this.onChange();
  }

  async drift(cluster: string, report: DriftReport): Promise<void> {
    this.#stored();
    this.drifts.set(`${cluster}/${report.signalName}`, report);
    this.onChange();
  }

  async capability(cluster: string, declaration: CapabilityDeclaration): Promise<void> {
    this.#stored();
    this.capabilities.set(cluster, declaration);
    this.onChange();
  }

  async items(cluster: string, reports: readonly ItemReport[]): Promise<void> {
    this.#stored();
    this.onItems(reports);
    let held = this.levels.get(cluster);
    if (held === undefined) this.levels.set(cluster, (held = new Map()));
    for (const report of reports) held.set(itemKey(report), report);
    this.onChange();
  }

  async itemLevels(cluster: string): Promise<readonly ItemReport[]> {
    return [...(this.levels.get(cluster)?.values() ?? [])];
  }

  /** Stored report of one item. */
  item(cluster: string, key: string): ItemReport | undefined {
    return this.levels.get(cluster)?.get(key);
  }

  #stored(): void {
    if (this.failing) throw new Error("the store is away");
  }
}

/** A directory of tenants that a test changes at will. */
export class MemoryDirectory implements TenantDirectory {
  readonly #clusters: Set<string>;
  readonly #denied = new Set<string>();
  readonly #listeners = new Set<(cluster: string) => void>();

  constructor(clusters: Iterable<string>) {
    this.#clusters = new Set(clusters);
  }

  deny(cluster: string, serial: string): void {
    this.#denied.add(serial);
    for (const listener of this.#listeners) listener(cluster);
  }

  check(cluster: string, certificateSerial: string): TenantVerdict {
    if (!this.#clusters.has(cluster)) return { ok: false, reason: "UnknownCluster" };
    if (this.#denied.has(certificateSerial)) return { ok: false, reason: "CertificateRevoked" };
    return { ok: true };
  }

  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  clusters(): readonly string[] {
    return [...this.#clusters];
  }

  deniedSerials(): readonly DeniedEntry[] {
    return [...this.#denied].map((entry) => ({ entry, remark: "" }));
  }
}

/** Terms that rise with each owner. */
export class MemoryOwnership implements SessionOwnership {
  term = 1n;

  async acquire(): Promise<bigint> {
    return this.term;
  }

  wentBack(): boolean {
    return false;
  }

  async hold(): Promise<void> {}
}

/** Revocations in memory, signed as the real ones are. */
export class MemoryRevocations implements RevocationOutbox {
  readonly #signer: Signer;
  readonly #ledgers = new Map<string, RevocationLedger>();
  readonly #pending = new Map<string, RevocationPush[]>();
  readonly #listeners = new Set<(cluster: string) => void>();
  readonly outcomes: string[] = [];
  /** Called with each outcome. */
  onAcknowledged: (cluster: string, serial: bigint) => void = () => {};

  constructor(signer: Signer) {
    this.#signer = signer;
  }

  /** Revokes every serial of a pack below `floor`. */
  revokePack(cluster: string, name: string, floor: number): void {
    const held = this.#ledgers.get(cluster) ?? { lastSerial: 0, records: [] };
    const revocationId = `r${held.lastSerial + 1}`;
    const parts = { nowMs: 1, signer: this.#signer };
    const { ledger, record } = addRevocation(
      held,
      cluster,
      {
        revocationId,
        target: "PackInstalled",
        name,
        namespace: "",
        reason: "",
        floor,
        orderedBy: "",
        orderedName: "",
        boundedAtMs: 0,
      },
      parts,
    );
    this.#ledgers.set(cluster, ledger);
    this.push(cluster, revocationPush(record));
  }

  push(cluster: string, revocation: RevocationPush): void {
    this.#pending.set(cluster, [...(this.#pending.get(cluster) ?? []), revocation]);
    for (const listener of this.#listeners) listener(cluster);
  }

  pending(cluster: string, afterSerial: bigint): readonly RevocationPush[] {
    return (this.#pending.get(cluster) ?? []).filter(({ serial }) => serial > afterSerial);
  }

  async acknowledged(cluster: string, serial: bigint, { applied, detail }: AcknowledgedRevocation): Promise<void> {
    this.outcomes.push(`${cluster} ${serial} ${applied} ${detail}`);
    this.onAcknowledged(cluster, serial);
    const left = (this.#pending.get(cluster) ?? []).filter((other) => other.serial !== serial);
    this.#pending.set(cluster, left);
    for (const listener of this.#listeners) listener(cluster);
  }

  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
