import type { Digest } from "../../base/digest.ts";
import { NO_FLOOR } from "../../trust/floors/ordering.ts";
import type { ComputedContent } from "../builder/computed-content.ts";
import type { DeclaredGrant } from "../decision/trimmed-grants.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import { SnapshotRefused } from "../snapshot/snapshot-failure.ts";
import { consistencyToken } from "../snapshot/snapshot-version.ts";
import type { SnapshotState } from "../store/active-snapshot.ts";
import type { HeldSnapshot, Refusal, SnapshotReader } from "../store/snapshot-reader.ts";
import type { LivePermissions, PublishedVersion } from "./live-permissions.ts";

/**
 * Silence of the API server after which the graph counts as stale, milliseconds. A watch lasts five minutes at most, and ends with a word.
 */
const STALE_AFTER_MS = 660_000;
/** Heap per byte of content, roughly: parsed, it is objects. */
const HEAP_PER_CONTENT_BYTE = 4;

/** What a {@link ClusterPermissions} works with. */
export interface ClusterPermissionsParts {
  readonly live: LivePermissions;
  /** Compiles content away from the event loop; bounded over all clusters. @throws SnapshotRefused for what no tenant would load */
  readonly build: (content: ComputedContent) => Promise<{ readonly index: PermissionIndex; readonly bytes: number }>;
  /** Called after what is held became another, so that all of it stays within its bound. */
  readonly grown: () => void;
}

interface Built {
  readonly contentHash: Digest;
  readonly index: PermissionIndex;
  readonly weightBytes: number;
}

/** The live permissions of one cluster, compiled when somebody asks for them. */
export class ClusterPermissions implements SnapshotReader {
  readonly cluster: string;
  readonly floor = NO_FLOOR;
  readonly trustedKeys: readonly string[] = [];
  current: HeldSnapshot | undefined;
  previous: HeldSnapshot | undefined;
  refusal: Refusal | undefined;
  readonly #parts: ClusterPermissionsParts;
  readonly #listeners = new Set<() => void>();
  #built: Built | undefined;
  #before: Built | undefined;
  #building: Promise<void> | undefined;
  /** Content that could not be compiled: it is not tried again. */
  #failed: { readonly contentHash: string; readonly refusal: Refusal } | undefined;

  constructor(cluster: string, parts: ClusterPermissionsParts) {
    this.cluster = cluster;
    this.#parts = parts;
  }

  /** True while somebody follows the changes. */
  get followed(): boolean {
    return this.#listeners.size > 0;
  }

  /** Bytes that are held for it, roughly. */
  get weightBytes(): number {
    return (this.#built?.weightBytes ?? 0) + (this.#before?.weightBytes ?? 0);
  }

  state(): SnapshotState {
    const { current } = this;
    const age = { degraded: false, lastRejection: undefined };
    if (current === undefined) return { freshness: "NOT_READY", ageMs: 0, ...age };
    const { maxOfflineSeconds } = current.index.content;
    const live = this.#parts.live.of(this.cluster);
    const ageMs = live.state === "computed" ? live.ageMs : 0;
    if (ageMs > maxOfflineSeconds * 1000) return { freshness: "EXPIRED", ageMs, ...age };
    return { freshness: ageMs > STALE_AFTER_MS ? "STALE" : "FRESH", ageMs, ...age };
  }

  declared(): Iterable<DeclaredGrant> {
    return this.#parts.live.declared(this.cluster);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes in what is known now. True when that is enough for an answer; otherwise {@link compile} or time is needed. */
  refresh(): boolean {
    const live = this.#parts.live.of(this.cluster);
    switch (live.state) {
      case "unknown":
        this.#built = undefined;
        this.#before = undefined;
        this.#show(undefined, {
          code: "CLUSTER_NOT_SERVED",
          reason: `no cluster ${this.cluster} is registered with this management cluster`,
        });
        return true;
      case "waiting":
        this.#show(undefined, WAITING);
        return false;
      case "computed": {
        const { contentHash } = live.content;
        if (this.#failed?.contentHash === contentHash) {
          this.#show(undefined, this.#failed.refusal);
          return true;
        }
        if (this.#built?.contentHash !== contentHash) return false;
        this.#show(heldOf(this.cluster, this.#built, live.published), undefined);
        return true;
      }
    }
  }

  /** Compiles what is known now, unless that is under way, and takes it in. Rejects only for reasons of the process. */
  compile(): Promise<void> {
    this.#building ??= this.#compile().finally(() => {
      this.#building = undefined;
    });
    return this.#building;
  }

  /** Lets go of what was compiled; it is compiled again when somebody asks. */
  drop(): void {
    this.#built = undefined;
    this.#before = undefined;
    this.current = undefined;
    this.previous = undefined;
  }

  async #compile(): Promise<void> {
    const live = this.#parts.live.of(this.cluster);
    if (live.state !== "computed") return;
    const { content, published } = live;
    const { contentHash } = content;
    if (contentHash === this.#built?.contentHash) return;
    try {
      const { index, bytes } = await this.#parts.build(content);
      this.#before = this.#built;
      const weightBytes = index.sizes.tableBytes + bytes * HEAP_PER_CONTENT_BYTE;
      this.#built = { contentHash, index, weightBytes };
      this.#show(heldOf(this.cluster, this.#built, published), undefined);
      this.#parts.grown();
    } catch (error) {
      if (!(error instanceof SnapshotRefused)) throw error;
      const reason = `what is computed for ${this.cluster} is refused by every tenant: ${error.code}: ${error.message}`;
      this.#failed = { contentHash, refusal: { code: "SNAPSHOT_NOT_LOADED", reason } };
      this.#show(undefined, this.#failed.refusal);
    }
  }

  #show(held: HeldSnapshot | undefined, refusal: Refusal | undefined): void {
    const { current } = this;
    const same =
      current?.pin === held?.pin &&
      current?.pending === held?.pending &&
      current?.statement.version === held?.statement.version &&
      current?.statement.sequence === held?.statement.sequence;
    if (same && current?.index === held?.index && this.refusal?.code === refusal?.code) return;
    if (current !== undefined && current.pin !== held?.pin) this.previous = held === undefined ? undefined : current;
    this.current = held;
    this.refusal = refusal;
    for (const listener of this.#listeners) listener();
  }
}

const WAITING: Refusal = {
  code: "SNAPSHOT_NOT_LOADED",
  reason: "the permissions of the fleet are being computed on this replica; ask again in a moment",
};

/**
 * What is computed, under the version that contains it. While that is not published its position is a lower bound: everything that was
 * published is in it.
 */
function heldOf(cluster: string, { contentHash, index }: Built, published: PublishedVersion | undefined): HeldSnapshot {
  const pending = published?.contentHash !== contentHash;
  const position = { epoch: published?.epoch ?? 0, sequence: published?.sequence ?? 0 };
  return {
    statement: { ...position, version: pending ? `pending.${contentHash}` : (published?.version ?? ""), contentHash },
    index,
    consistencyToken: pending ? "" : consistencyToken(position, contentHash),
    pending,
    pin: `${cluster} ${contentHash}`,
  };
}
