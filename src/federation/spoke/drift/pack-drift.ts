import { isTrue } from "../../../api/conditions.ts";
import { labelValue } from "../../../api/names.ts";
import type { DriftedResourceRef } from "../../../api/kinds/drifted-resource-ref.ts";
import type { PackReceipt } from "../../../api/kinds/pack-receipt.ts";
import { rfc3339 } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import { jittered } from "../../../base/random.ts";
import { identityOf } from "../../../packs/artifact/pack-object.ts";
import { checkPack, type DriftedObject, type PackCheck } from "../../../packs/drift/check-pack.ts";
import type { HeldPack } from "../items/pack/held-packs.ts";
import type { AttemptEnded } from "../items/pack/pack-attempts.ts";
import { applicationOf } from "../items/pack/pack-handler.ts";
import { lastCorrection } from "../items/pack/pack-receipts.ts";
import { MAX_REPORTED_DRIFT, receiptReport } from "../items/pack/receipt-report.ts";
import type { TenantPackParts } from "../items/pack/tenant-pack-parts.ts";
import { KindWatches } from "./kind-watches.ts";
import { WatchedPack } from "./watched-pack.ts";

/** How often packs are looked at (conductor §9.4). */
export interface DriftTimes {
  /** Pass over what the watches miss, milliseconds. Default 30 s. */
  readonly existenceMs?: number;
  /** Pass over every field, milliseconds. Default 5 min. */
  readonly fullMs?: number;
  /** Between a check that found a change and the one that makes sure, milliseconds. Default 1.5 s. */
  readonly recheckMs?: number;
  /** Between a watch event and the check, so that a burst is one check, milliseconds. Default 250 ms. */
  readonly settleMs?: number;
}

/** Options of {@link startPackDrift}. */
export interface PackDriftOptions extends TenantPackParts {
  readonly times?: DriftTimes;
  readonly signal: AbortSignal;
}

/** The running detector. */
export interface PackDrift {
  /** Looks at a pack as soon as possible. */
  checkSoon(packInstalled: string): void;
  /** Resolves when the signal has aborted and everything is closed. */
  readonly closed: Promise<void>;
}

/** `lastDriftCheckAt` is written at least this often. */
const WRITE_AT_LEAST_MS = 3_600_000;
/** Part of the recheck time that must lie between two checks; less than the jitter takes away. */
const RECHECK_SPACING = 0.85;
/** Pause after a failed check of one pack. */
const RETRY_MS = 5_000;

/**
 * Starts drift detection for every pack the tenant holds: watches wake it, an existence pass and a full pass catch what watches miss. A
 * status is said after two checks that agree. Reports go to the outbox before the receipt changes, so a crash repeats rather than
 * loses.
 */
export async function startPackDrift(options: PackDriftOptions): Promise<PackDrift> {
  const detector = new Detector(options);
  await detector.adoptHeldPacks();
  return detector.start();
}

class Detector implements PackDrift {
  closed: Promise<void> = Promise.resolve();
  readonly #options: PackDriftOptions;
  readonly #times: Required<DriftTimes>;
  readonly #packs = new Map<string, WatchedPack>();
  readonly #watches: KindWatches;
  /** Inventory of each pack, for the watches. */
  readonly #inventories = new Map<string, NonNullable<PackReceipt["spec"]["deployedResources"]>>();
  #kindsChanged = true;
  #wake: () => void = () => {};

  constructor(options: PackDriftOptions) {
    this.#options = options;
    this.#times = { existenceMs: 30_000, fullMs: 300_000, recheckMs: 1_500, settleMs: 250, ...options.times };
    this.#watches = new KindWatches(options, (label, identity) => this.#changed(label, identity));
  }

  checkSoon(packInstalled: string): void {
    const pack = this.#packs.get(packInstalled);
    if (pack === undefined) return;
    pack.nextFullMs = 0;
    this.#wake();
  }

  async adoptHeldPacks(): Promise<void> {
    for (const name of await this.#options.held.names()) await this.#adopt(name);
  }

  start(): PackDrift {
    const unsubscribe = this.#options.attempts.subscribe((ended) => this.#attemptEnded(ended));
    this.#options.signal.addEventListener("abort", () => this.#wake(), { once: true });
    this.closed = this.#run().finally(unsubscribe);
    return this;
  }

  async #run(): Promise<void> {
    const { clock, signal, log } = this.#options;
    while (!signal.aborted) {
      if (this.#kindsChanged) await this.#watchKinds();
      const now = clock.monotonic();
      for (const pack of this.#packs.values()) {
        if (signal.aborted) break;
        if (pack.dueMs > now) continue;
        try {
          await this.#look(pack);
        } catch (error) {
          if (signal.aborted) break;
          log.warn({ pack: pack.name, error: errorMessage(error) }, "drift check failed");
          pack.nextExistenceMs = clock.monotonic() + RETRY_MS;
          pack.recheckMs = Number.POSITIVE_INFINITY;
          if (pack.nextFullMs <= clock.monotonic()) pack.nextFullMs = clock.monotonic() + RETRY_MS;
        }
      }
      await this.#sleep();
    }
    await this.#watches.closed();
  }

  async #sleep(): Promise<void> {
    const { clock, signal } = this.#options;
    const due = Math.min(
      clock.monotonic() + this.#times.existenceMs,
      ...[...this.#packs.values()].map((pack) => pack.dueMs),
    );
    if (this.#kindsChanged || signal.aborted) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    try {
      await clock.sleep(Math.max(0, due - clock.monotonic()), woken.signal);
    } catch {
      // woken or stopped: the loop looks
    }
    this.#wake = () => {};
  }

  /** One visit: what is due decides how much is looked at. */
  async #look(pack: WatchedPack): Promise<void> {
    const { clock, random, attempts, held, receipts } = this.#options;
    const now = clock.monotonic();
    const full = pack.nextFullMs <= now;
    const existence = pack.nextExistenceMs <= now;
    pack.recheckMs = Number.POSITIVE_INFINITY;
    if (full) pack.nextFullMs = now + jittered(random, this.#times.fullMs);
    if (full || existence) pack.nextExistenceMs = now + jittered(random, this.#times.existenceMs);
    // While an attempt runs the world is moving; its end schedules a full check.
    if (attempts.running(pack.name)) return;
    const receipt = await receipts.get(pack.name);
    const applied = await held.load(pack.name, "applied");
    if (receipt === undefined || applied === undefined) {
      await this.#drop(pack.name, receipt === undefined);
      return;
    }
    if (receipt.status?.verified !== true || isTrue(receipt.status.conditions, "Revoked")) return;
    const only = full ? undefined : this.#chosen(pack, receipt, existence);
    pack.dirty.clear();
    if (only?.size === 0) {
      await this.#settle(pack, receipt, applied, false);
      return;
    }
    const check = await this.#check(receipt, applied, only);
    if (attempts.running(pack.name)) return; // began meanwhile: what was seen may be half of it
    const differed = [...pack.drifted.keys()];
    const transition = pack.absorb(check, only, {
      nowMs: clock.now(),
      monotonicMs: clock.monotonic(),
      spacingMs: this.#times.recheckMs * RECHECK_SPACING,
    });
    if (pack.unsure) {
      pack.recheckMs = clock.monotonic() + jittered(random, this.#times.recheckMs);
      // Whatever made the status differ is looked at again; without such an object, everything.
      for (const identity of [...(only ?? []), ...differed, ...pack.drifted.keys()]) pack.dirty.add(identity);
      if (pack.dirty.size === 0 || pack.settled === undefined) pack.nextFullMs = pack.recheckMs;
    }
    await this.#settle(pack, receipt, applied, transition || (existence && pack.settled === "Drifted"));
  }

  /** What a visit looks at beyond a full pass: what changed, what differed, and what the watches say is not there. */
  #chosen(pack: WatchedPack, receipt: PackReceipt, existence: boolean): ReadonlySet<string> {
    const chosen = new Set([...pack.dirty, ...pack.drifted.keys()]);
    if (existence) {
      for (const ref of receipt.spec.deployedResources ?? [])
        if (!this.#watches.mayExist(ref)) chosen.add(identityOf(ref));
    }
    return chosen;
  }

  async #check(receipt: PackReceipt, applied: HeldPack, only: ReadonlySet<string> | undefined): Promise<PackCheck> {
    const { cluster, clock, random, log, signal } = this.#options;
    const check = await checkPack(
      { cluster, clock, random, log, signal },
      applicationOf(applied.manifest),
      applied.documents,
      receipt.spec.deployedResources ?? [],
      only,
    );
    if (receipt.spec.serial === applied.manifest.serial) return check;
    // A newer version was accepted and is not wholly applied: its fields may stand there already. Only what is gone counts.
    const drifted = check.drifted.filter((entry) => entry.change !== "Modified");
    return { ...check, drifted, status: drifted.length === 0 && check.status === "Drifted" ? "InSync" : check.status };
  }

  /** Says what there is to say: the fact first, then the receipt. */
  async #settle(pack: WatchedPack, receipt: PackReceipt, applied: HeldPack, report: boolean): Promise<void> {
    const { clock, facts, receipts } = this.#options;
    const { settled } = pack;
    if (settled === undefined) return;
    const wasDrifted = receipt.status?.driftStatus === "Drifted";
    const isFact = settled === "Drifted" || (settled === "InSync" && (wasDrifted || pack.mustReport));
    if ((report || (pack.mustReport && !pack.unsure)) && isFact) {
      await facts.drift(pack.report(applied.manifest));
      pack.mustReport = false;
    }
    const now = clock.now();
    const shown = [...pack.drifted.values()].slice(0, MAX_REPORTED_DRIFT).map(driftedRef);
    const transition = receipt.status?.driftStatus !== settled;
    if (!transition && now - pack.lastWrittenMs < WRITE_AT_LEAST_MS) return;
    pack.lastWrittenMs = now;
    const summary = pack.summary();
    const written = await receipts.changeStatus(pack.name, {
      fields: {
        driftStatus: settled,
        driftSummary: summary === "" ? undefined : summary,
        driftedResources: shown.length === 0 ? undefined : shown,
        lastDriftCheckAt: rfc3339(now),
      },
      conditions: [driftedCondition(settled, summary)],
    });
    if (written?.changed === true) await facts.packReceipt(receiptReport(written.receipt));
  }

  async #attemptEnded({ packInstalled, correction }: AttemptEnded): Promise<void> {
    await this.#adopt(packInstalled);
    const pack = this.#packs.get(packInstalled);
    if (pack === undefined) return;
    if (correction !== undefined) {
      pack.lastCorrection = correction;
      pack.mustReport = true;
      const applied = await this.#options.held.load(packInstalled, "applied");
      // The hub waits for the outcome of the attempt, whatever the next check finds.
      if (applied !== undefined && pack.drifted.size > 0)
        await this.#options.facts.drift(pack.report(applied.manifest));
    }
    pack.nextFullMs = this.#options.clock.monotonic() + this.#times.settleMs;
    this.#wake();
  }

  async #adopt(name: string): Promise<void> {
    const receipt = await this.#options.receipts.get(name);
    if (receipt === undefined) {
      await this.#drop(name, true);
      return;
    }
    this.#inventories.set(name, receipt.spec.deployedResources ?? []);
    this.#kindsChanged = true;
    if (this.#packs.has(name)) return;
    const pack = new WatchedPack(name, receipt.status?.driftStatus);
    pack.lastCorrection = lastCorrection(receipt);
    // The process may have ended between the end of an attempt and its report.
    pack.mustReport = pack.lastCorrection !== undefined;
    const checkedAt = receipt.status?.lastDriftCheckAt;
    if (checkedAt !== undefined) pack.lastWrittenMs = Date.parse(checkedAt);
    this.#packs.set(name, pack);
  }

  /** Forgets a pack that is gone; one that is held but was never applied stays for the end of its attempt. */
  async #drop(name: string, gone: boolean): Promise<void> {
    if (!gone) return;
    this.#packs.delete(name);
    if (this.#inventories.delete(name)) this.#kindsChanged = true;
  }

  async #watchKinds(): Promise<void> {
    this.#kindsChanged = false;
    try {
      await this.#watches.watch([...this.#inventories.values()].flat());
    } catch (error) {
      // The passes go on without watches; the next change or failure tries again.
      this.#options.log.warn({ error: errorMessage(error) }, "kinds in use cannot be watched");
    }
  }

  #changed(label: string, identity: string): void {
    for (const pack of this.#packs.values()) {
      if (labelValue(pack.name) !== label) continue;
      pack.dirty.add(identity);
      pack.recheckMs = Math.min(pack.recheckMs, this.#options.clock.monotonic() + this.#times.settleMs);
      this.#wake();
    }
  }
}

function driftedRef({ resource, change }: DriftedObject): DriftedResourceRef {
  const { apiVersion, kind, name, namespace } = resource;
  return { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }), change };
}

function driftedCondition(settled: "InSync" | "Drifted" | "Unknown", message: string) {
  const type = "Drifted";
  switch (settled) {
    case "Drifted":
      return { type, status: "True", reason: "DriftDetected", message } as const;
    case "InSync":
      return { type, status: "False", reason: "NoDrift", message } as const;
    case "Unknown":
      return { type, status: "Unknown", reason: "CheckFailed", message } as const;
  }
}
