import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type KeyLookup, decodeEnvelope } from "../../trust/dsse.ts";
import { type DurableDirectory, durableDirectory } from "../../trust/durable-directory.ts";
import { FloorFile } from "../../trust/floors/floor-file.ts";
import { type Floor, type OrderingValue, NO_FLOOR } from "../../trust/floors/ordering.ts";
import { buildIndex } from "../index/build-index.ts";
import type { PermissionIndex } from "../index/permission-index.ts";
import { type SnapshotFailureCode, SnapshotRefused } from "../snapshot/snapshot-failure.ts";
import { comparePositions, consistencyToken } from "../snapshot/snapshot-version.ts";
import type { SnapshotStatement } from "../snapshot/statement.ts";
import { type VerifiedStatement, verifyStatement } from "../snapshot/verify-statement.ts";
import type { ActiveSnapshot, SnapshotRejection, SnapshotState, SnapshotStoreEvent } from "./active-snapshot.ts";
import { freshnessAt, untilNextState } from "./freshness.ts";
import type { Refusal } from "./snapshot-reader.ts";
import { SnapshotFiles } from "./snapshot-files.ts";

/** Options of {@link openSnapshotStore}. */
export interface SnapshotStoreOptions {
  /** Folder of its own; created when missing. */
  readonly directory: string;
  /** The files of {@link directory}, when they are not on this machine's disk: the simulator's. */
  readonly files?: DurableDirectory;
  /** Own cluster id, from the client certificate. */
  readonly cluster: string;
  /** Trusted signing keys. */
  readonly keys: KeyLookup & { readonly keyIds?: readonly string[] };
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A verified offer, ready to be activated. */
export interface PreparedSnapshot {
  readonly statement: SnapshotStatement;
  /** `renewal`: same content, newer statement. `unchanged`: nothing newer than what is held. */
  readonly kind: "activation" | "renewal" | "unchanged";
}

interface Prepared extends PreparedSnapshot {
  readonly keyId: string;
  readonly envelope: Uint8Array;
  readonly index: PermissionIndex | undefined;
  /** Bytes to save; undefined when they are saved already. */
  readonly content: Uint8Array | undefined;
}

/** The tenant's snapshot: verified, durable, swapped in one step (permissions §9.3, §10). */
export interface SnapshotStore {
  readonly cluster: string;
  /** What answers questions now; undefined while nothing is verified. Look at {@link state} before deciding. */
  readonly current: ActiveSnapshot | undefined;
  /** Content before the current one, for page tokens; undefined when there was none. */
  readonly previous: ActiveSnapshot | undefined;
  /** Freshness, age and degradation now. */
  state(): SnapshotState;
  /** Highest accepted position and revocation floor, as persisted. */
  readonly floor: Floor;
  /** Ids of the trusted keys. */
  readonly trustedKeys: readonly string[];
  /**
   * Verifies an offered envelope (JSON form) in the order of permissions §9.3 and persists the floors. No effect on decisions yet.
   *
   * @param readContent is called only when the content is needed
   * @throws SnapshotRefused after recording the refusal: the store is degraded until an offer verifies, the last good one serves on
   */
  prepare(envelope: Uint8Array, readContent: () => Promise<Uint8Array>): Promise<PreparedSnapshot>;
  /**
   * Persists a prepared offer and swaps it in, after another look at it: a revocation, another key ring or another clock may have come in
   * between. Durable when it resolves.
   *
   * @param secondHand true for what lay somewhere before it came here: its age counts from when it was issued, as after a restart
   * @throws SnapshotRefused as {@link prepare}; Error for an offer that this store did not prepare
   */
  activate(prepared: PreparedSnapshot, secondHand?: boolean): Promise<ActiveSnapshot>;
  /** Raises the revocation floor, durably; what is held under it stops deciding. Resolves with whether something was held. */
  revokeBelow(minSequence: number): Promise<{ readonly dropped: boolean }>;
  /**
   * Looks at what is held with the keys and the clock of now: for the moment after trusted keys changed. What was signed by a key that is
   * no longer trusted stops deciding (a compromised key); what could not be verified at the start is tried again.
   */
  reverify(): Promise<void>;
  /** Why nothing is answered whatever is held; see {@link withhold}. */
  readonly refusal: Refusal | undefined;
  /** Answers nothing until it is called with undefined: what is held may be less than what this replica has to know first. */
  withhold(refusal: Refusal | undefined): void;
  /** Calls `listener` after every change. Listeners must not throw. Returns the way to stop. */
  subscribe(listener: (event: SnapshotStoreEvent) => void): () => void;
  /** Resolves after the signal aborted and no timer or worker is left. */
  readonly closed: Promise<void>;
}

/** Pause between two looks at what is held and does not verify yet, milliseconds. */
const LOAD_AGAIN_MS = 2_000;

/** Refusals that time or a person heals without a new offer. */
function isPassing(code: SnapshotFailureCode): boolean {
  return code === "KEYS_MISSING" || code === "UNKNOWN_KEY" || code === "CLOCK_SKEW";
}

/** Name of the floor of snapshots in the store's floor file. */
const FLOOR = "PermissionSnapshot";

/**
 * Opens the store: reads floors and the held snapshot and verifies it again, so that a restart serves without the hub.
 *
 * @throws SeamError `FloorsUnreadable`: without floors a rollback could not be told, so a person decides
 */
export async function openSnapshotStore(options: SnapshotStoreOptions): Promise<SnapshotStore> {
  if (options.files === undefined) await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const files = options.files ?? durableDirectory(options.directory);
  const floors = await FloorFile.open(join(options.directory, "floors.json"), files);
  const store = new DurableSnapshotStore(options, floors, new SnapshotFiles(files));
  await store.load(true);
  return store;
}

class DurableSnapshotStore implements SnapshotStore {
  readonly cluster: string;
  readonly closed: Promise<void>;
  current: ActiveSnapshot | undefined;
  previous: ActiveSnapshot | undefined;
  refusal: Refusal | undefined;
  readonly #options: SnapshotStoreOptions;
  readonly #log: Log;
  readonly #floors: FloorFile;
  readonly #files: SnapshotFiles;
  readonly #listeners = new Set<(event: SnapshotStoreEvent) => void>();
  readonly #prepared = new WeakSet<PreparedSnapshot>();
  #lastRejection: SnapshotRejection | undefined;
  #degraded = false;
  #revoked = false;
  /** What is held was refused for a reason that may pass without a new offer: a clock that is set right, a key that is mounted. */
  #loadAgain = false;
  #rearm = (): void => {};
  /** Writers take turns: two offers at once never interleave their files. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: SnapshotStoreOptions, floors: FloorFile, files: SnapshotFiles) {
    this.#options = options;
    this.#floors = floors;
    this.cluster = options.cluster;
    this.#log = options.log.child({ store: "permission-snapshot" });
    this.#files = files;
    this.closed = this.#watchFreshness();
  }

  get floor(): Floor {
    return this.#floors.get(FLOOR);
  }

  get trustedKeys(): readonly string[] {
    return this.#options.keys.keyIds ?? [];
  }

  state(): SnapshotState {
    const { current } = this;
    const ageMs = current === undefined ? 0 : this.#ageOf(current);
    const none = this.#revoked ? "REVOKED" : "NOT_READY";
    return {
      freshness: current === undefined ? none : freshnessAt(ageMs, current.index.content),
      ageMs,
      degraded: this.#degraded,
      lastRejection: this.#lastRejection,
    };
  }

  withhold(refusal: Refusal | undefined): void {
    this.refusal = refusal;
  }

  subscribe(listener: (event: SnapshotStoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  reverify(): Promise<void> {
    return this.#inTurn(async () => {
      const { keys } = this.#options;
      const held = this.current;
      if (held === undefined) await this.load();
      // No key at all is a mount that went away, not a verdict about the key: nothing new is accepted, what is held serves to its end.
      else if (!keys.empty && keys.key(held.keyId) === undefined) {
        this.current = undefined;
        this.previous = undefined;
        const { version } = held.statement;
        this.#refused(new SnapshotRefused("UNKNOWN_KEY", "its signing key is no longer trusted", version), "held");
      }
      this.#rearm();
    });
  }

  /** Serves again what was held before the restart. A held snapshot that does not verify is no reason to stop: nothing is served. */
  async load(atStart = false): Promise<void> {
    this.#loadAgain = false;
    const envelope = await this.#files.statement();
    if (envelope === undefined) {
      const { accepted, minimumSequence } = this.floor;
      this.#revoked = accepted !== undefined && accepted.sequence < minimumSequence;
      return;
    }
    try {
      const { statement, keyId } = this.#verify(envelope, heldFloor(this.floor), true);
      const content = await this.#files.content(statement.contentHash);
      if (content === undefined)
        throw new SnapshotRefused("CONTENT_HASH_MISMATCH", "the held content is missing", statement.version);
      const index = await this.#build(content, statement, atStart);
      // Keys may have changed meanwhile, and whoever would say so waits for the store to open.
      if (this.#options.keys.key(keyId) === undefined)
        throw new SnapshotRefused("UNKNOWN_KEY", "its signing key is no longer trusted", statement.version);
      // The wall clock is all that survives a restart; an age can only be overestimated by it, since a statement is verified
      // after it was issued.
      const { clock } = this.#options;
      const ageMs = Math.max(0, clock.now() - statement.issuedAtMs);
      this.current = {
        statement,
        index,
        keyId,
        consistencyToken: consistencyToken(statement, statement.contentHash),
        verifiedMonotonicMs: clock.monotonic() - ageMs,
        verifiedAtMs: clock.now() - ageMs,
      };
      this.#healed("held");
      this.#rearm();
      this.#log.info({ version: statement.version, ageMs }, "held permission snapshot verified again");
    } catch (error) {
      if (!(error instanceof SnapshotRefused)) throw error;
      this.#revoked = error.code === "REVOKED";
      this.#loadAgain = isPassing(error.code);
      if (this.#lastRejection?.code !== error.code || !this.#degraded) this.#refused(error, "held");
      this.#rearm();
    }
  }

  prepare(envelope: Uint8Array, readContent: () => Promise<Uint8Array>): Promise<PreparedSnapshot> {
    return this.#inTurn(async () => {
      try {
        const prepared = await this.#prepare(envelope, readContent);
        this.#prepared.add(prepared);
        return prepared;
      } catch (error) {
        if (error instanceof SnapshotRefused) this.#refused(error, "offer");
        throw error;
      }
    });
  }

  async #prepare(envelope: Uint8Array, readContent: () => Promise<Uint8Array>): Promise<Prepared> {
    const { statement, keyId } = this.#verify(envelope, this.floor, false);
    const { current } = this;
    const sameContent = current?.statement.contentHash === statement.contentHash;
    if (current !== undefined && sameContent && comparePositions(current.statement, statement) === 0) {
      // An older statement of the same position proves nothing new: replaying it must not keep a snapshot alive.
      const newer = statement.issuedAtMs > current.statement.issuedAtMs;
      await this.#raise(statement);
      const kind = newer ? "renewal" : "unchanged";
      return { kind, statement, keyId, envelope, index: current.index, content: undefined };
    }
    const content = sameContent ? undefined : await readContent();
    const index = content === undefined ? current?.index : await this.#build(content, statement);
    await this.#raise(statement);
    return { kind: "activation", statement, keyId, envelope, index, content };
  }

  activate(offer: PreparedSnapshot, secondHand = false): Promise<ActiveSnapshot> {
    return this.#inTurn(async () => {
      if (!isPrepared(offer) || !this.#prepared.has(offer))
        throw new Error("this offer was not prepared by this store");
      const { statement, index, keyId } = offer;
      const previous = this.current;
      if (index === undefined || (previous !== undefined && comparePositions(statement, previous.statement) < 0)) {
        if (previous !== undefined) return previous; // a newer offer was activated meanwhile
        throw new Error("a prepared offer without an index");
      }
      const samePosition = previous !== undefined && comparePositions(statement, previous.statement) === 0;
      this.#verifyAgain(offer);
      if (samePosition && statement.issuedAtMs <= previous.statement.issuedAtMs) {
        this.#healed("offer");
        return previous;
      }
      await this.#files.save(offer.envelope, statement.contentHash, offer.content);
      const { clock } = this.#options;
      const ageMs = secondHand ? Math.max(0, clock.now() - statement.issuedAtMs) : 0;
      const current: ActiveSnapshot = {
        statement,
        index,
        keyId,
        consistencyToken: consistencyToken(statement, statement.contentHash),
        verifiedMonotonicMs: clock.monotonic() - ageMs,
        verifiedAtMs: clock.now() - ageMs,
      };
      this.current = current;
      this.#revoked = false;
      const renewal = previous?.statement.version === statement.version;
      if (!renewal) this.previous = previous;
      this.#healed("offer");
      this.#emit(renewal ? { type: "renewed", current } : { type: "activated", previous, current });
      this.#rearm();
      if (!renewal) this.#log.info({ version: statement.version, ...index.sizes }, "permission snapshot active");
      return current;
    });
  }

  #verifyAgain({ envelope }: Prepared): void {
    try {
      this.#verify(envelope, this.floor, false);
    } catch (error) {
      if (error instanceof SnapshotRefused) this.#refused(error, "offer");
      throw error;
    }
  }

  revokeBelow(minSequence: number): Promise<{ readonly dropped: boolean }> {
    return this.#inTurn(async () => {
      await this.#floors.revokeBelow(FLOOR, minSequence);
      const held = this.current;
      const accepted = this.floor.accepted;
      const dropped =
        held !== undefined &&
        held.statement.sequence < this.floor.minimumSequence &&
        (accepted === undefined || held.statement.epoch === accepted.epoch);
      if (dropped) {
        this.current = undefined;
        this.previous = undefined;
        this.#revoked = true;
        await this.#files.clear();
        this.#log.warn({ version: held.statement.version, minSequence }, "permission snapshot revoked");
        this.#emit({ type: "revoked", minSequence });
        this.#rearm();
      }
      return { dropped };
    });
  }

  #verify(envelope: Uint8Array, floor: Floor, held: boolean): VerifiedStatement {
    const decoded = decodeEnvelope(envelope);
    if (decoded === undefined) throw new SnapshotRefused("MALFORMED", "the envelope is not DSSE JSON");
    const { cluster, keys, clock } = this.#options;
    return verifyStatement(decoded, { cluster, keys, floor, nowMs: clock.now(), held });
  }

  async #build(content: Uint8Array, statement: SnapshotStatement, atStart = false): Promise<PermissionIndex> {
    try {
      const index = await buildIndex(content, statement.contentHash, { signal: this.#options.signal, atStart });
      if (index.content.targetCluster !== statement.cluster)
        throw new SnapshotRefused("INVALID_CONTENT", `content is for cluster ${index.content.targetCluster}`);
      return index;
    } catch (error) {
      if (error instanceof SnapshotRefused && error.version === "")
        throw new SnapshotRefused(error.code, error.message, statement.version);
      throw error;
    }
  }

  /** Floors are durable before anything that rests on them (permissions §10.3). */
  async #raise(statement: SnapshotStatement): Promise<void> {
    const verdict = await this.#floors.accept(FLOOR, orderingOf(statement));
    if (verdict.verdict === "refused") throw new SnapshotRefused(verdict.code, verdict.detail, statement.version);
    if (statement.minSequence > this.floor.minimumSequence)
      await this.#floors.revokeBelow(FLOOR, statement.minSequence);
  }

  #refused(error: SnapshotRefused, what: "offer" | "held"): void {
    const { code, version, message } = error;
    const rejection = { code, version, detail: message, atMs: this.#options.clock.now() };
    this.#lastRejection = rejection;
    this.#degraded = true;
    this.#log.warn({ code, version, detail: message }, "permission snapshot refused; the last good one serves on");
    this.#emit({ type: "refused", what, rejection });
  }

  #healed(what: "offer" | "held"): void {
    if (!this.#degraded) return;
    this.#degraded = false;
    this.#emit({ type: "healed", what });
  }

  #ageOf(snapshot: ActiveSnapshot): number {
    return Math.max(0, this.#options.clock.monotonic() - snapshot.verifiedMonotonicMs);
  }

  #emit(event: SnapshotStoreEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {
      // the caller of this turn has the error; the next turn goes on
    });
    return result;
  }

  /** Tells listeners when age alone changes freshness. Sleeps until the next boundary, woken by every change of what is held. */
  async #watchFreshness(): Promise<void> {
    const { clock, signal } = this.#options;
    let told = this.state().freshness;
    while (!signal.aborted) {
      const { freshness } = this.state();
      if (freshness !== told) {
        told = freshness;
        this.#log[freshness === "FRESH" ? "info" : "warn"]({ freshness }, "freshness of the permission snapshot");
        this.#emit({ type: "freshness", freshness });
      }
      const wake = new AbortController();
      this.#rearm = () => wake.abort();
      const either = AbortSignal.any([signal, wake.signal]);
      const { current } = this;
      const waitMs =
        current !== undefined
          ? untilNextState(this.#ageOf(current), current.index.content)
          : this.#loadAgain
            ? LOAD_AGAIN_MS
            : undefined;
      try {
        await (waitMs === undefined ? untilAborted(either) : clock.sleep(waitMs, either));
      } catch {
        continue; // woken: something changed, or the store stops
      }
      if (this.current !== undefined || !this.#loadAgain) continue;
      await this.reverify().catch((error: unknown) => {
        this.#log.warn({ detail: errorMessage(error) }, "what is held could not be read again");
      });
    }
    await this.#turn.catch((error: unknown) => {
      this.#log.debug({ detail: errorMessage(error) }, "the last write failed while stopping");
    });
  }
}

function isPrepared(offer: PreparedSnapshot): offer is Prepared {
  return "envelope" in offer && "index" in offer;
}

function orderingOf(statement: SnapshotStatement): OrderingValue {
  return { epoch: statement.epoch, sequence: statement.sequence, digest: statement.contentHash };
}

/** The revocation floor alone: a crash between raising the floor and saving leaves an older snapshot, which is the last good one. */
function heldFloor(floor: Floor): Floor {
  return { ...NO_FLOOR, minimumSequence: floor.minimumSequence };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
