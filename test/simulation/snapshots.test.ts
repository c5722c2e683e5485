import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ManualClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { SeededRandom, integerBetween } from "../../src/base/random.ts";
import { check } from "../../src/permissions/decision/check.ts";
import { ruleOf } from "../../src/permissions/rules/rule.ts";
import { encodeContent, type SnapshotContent } from "../../src/permissions/snapshot/content.ts";
import { SnapshotRefused } from "../../src/permissions/snapshot/snapshot-failure.ts";
import { type SnapshotStore, openSnapshotStore } from "../../src/permissions/store/snapshot-store.ts";
import { ruleSetOf, WORLD_NOW_MS } from "../oracle/permission-worlds.ts";
import { type SignedSnapshot, signedSnapshot, testKey } from "../oracle/signed-snapshots.ts";

/** Seeds of the test command. */
const SEEDS = 60;
const STEPS = 25;
const CLUSTER = "tenant-1";
const EPOCH = 1_700_000_000;

const honest = testKey();
const stranger = testKey();

interface Offer extends SignedSnapshot {
  readonly sequence: number;
  /** True for what the management side signed for this cluster, unaltered. */
  readonly good: boolean;
}

describe("permission snapshots produced, delivered, attacked, crashed and restarted in any order", () => {
  it(
    `never answer from what was not verified, nor below a floor, in seeds 1 to ${SEEDS}`,
    { timeout: 120_000 },
    async () => {
      const met = new Map<string, number>();
      for (let seed = 1; seed <= SEEDS; seed++) {
        const directory = await mkdtemp(join(tmpdir(), "snapshots-"));
        const tenant = new Tenant(seed, directory, met);
        try {
          await tenant.run();
        } catch (error) {
          throw new Error(`seed ${seed}:\n${tenant.story.join("\n")}`, { cause: error });
        } finally {
          await tenant.stop();
          await rm(directory, { recursive: true });
        }
      }
      for (const code of [
        "ROLLBACK_REJECTED",
        "WRONG_CLUSTER",
        "UNKNOWN_KEY",
        "CONTENT_HASH_MISMATCH",
        "SIGNATURE_INVALID",
      ])
        expect([code, (met.get(code) ?? 0) > 0]).toEqual([code, true]);
      for (const what of ["crash", "revoked", "activation", "renewal"])
        expect([what, (met.get(what) ?? 0) > 0]).toEqual([what, true]);
    },
  );
});

/** One tenant with the real store on real files, and what its management side signed. */
class Tenant {
  readonly story: string[] = [];
  readonly #random: SeededRandom;
  readonly #directory: string;
  readonly #met: Map<string, number>;
  readonly #clock = new ManualClock(WORLD_NOW_MS);
  readonly #offers: Offer[] = [];
  #sequence = 0;
  /** Lowest sequence that may answer: floors raised, durably, by revocations. */
  #floor = 0;
  /** Highest sequence that was ever in force. */
  #highest = 0;
  /** No more crashes. */
  #calm = false;
  #abort = new AbortController();
  #store: SnapshotStore | undefined = undefined;

  constructor(seed: number, directory: string, met: Map<string, number>) {
    this.#random = new SeededRandom(seed);
    this.#directory = directory;
    this.#met = met;
  }

  async run(): Promise<void> {
    await this.#open();
    for (let step = 0; step < STEPS; step++) {
      await this.#step();
      this.#judge();
    }
    // All faults end: the newest good snapshot gets through, and answers.
    this.#calm = true;
    await this.#open();
    const last = this.#sign(honest, CLUSTER, ++this.#sequence, true);
    await this.#deliver(last);
    this.#judge();
    expect(this.#store?.current?.statement.sequence).toBe(this.#sequence);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#store?.closed;
  }

  async #step(): Promise<void> {
    const dice = this.#between(0, 19);
    if (dice < 5) this.#offers.push(this.#sign(honest, CLUSTER, ++this.#sequence, true));
    else if (dice < 6) this.#offers.push(this.#sign(stranger, CLUSTER, this.#sequence + 1, false));
    else if (dice < 7) this.#offers.push(this.#sign(honest, "tenant-2", this.#sequence + 1, false));
    else if (dice < 8) this.#renew();
    else if (dice < 9) this.#alter();
    else if (dice < 10) await this.#clock.advance(this.#between(1, 60_000));
    else if (dice < 11) await this.#revoke();
    else if (dice < 13) await this.#crash();
    else {
      // Any offer ever made may arrive, again and in any order.
      const offer = this.#offers[this.#between(0, this.#offers.length - 1)];
      if (offer !== undefined) await this.#deliver(offer);
    }
  }

  /** Verify and activate, as the item's handler does; now and then the process dies between or within the two. */
  async #deliver(offer: Offer): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    this.#tell(`deliver ${offer.good ? "good" : "bad"} ${offer.sequence}`);
    try {
      const preparing = store.prepare(offer.envelope, async () => offer.content);
      if (this.#dies(0.1)) return await this.#crash(preparing);
      const prepared = await preparing;
      if (this.#dies(0.1)) return await this.#crash();
      this.#meet(prepared.kind);
      const activating = store.activate(prepared);
      if (this.#dies(0.15)) return await this.#crash(activating);
      await activating;
    } catch (error) {
      if (!(error instanceof SnapshotRefused)) throw error;
      this.#meet(error.code);
      this.#tell(`refused: ${error.code}`);
      const behind = offer.sequence < Math.max(this.#floor, this.#highest, this.#accepted());
      expect(offer.good && !behind ? error.code : "").toBe("");
    }
  }

  async #revoke(): Promise<void> {
    const floor = this.#between(0, this.#sequence + 1);
    this.#tell(`revoke below ${floor}`);
    const { dropped } = (await this.#store?.revokeBelow(floor)) ?? { dropped: false };
    if (dropped) this.#meet("revoked");
    this.#floor = Math.max(this.#floor, floor);
    if (this.#sequence < floor) this.#sequence = floor; // the management side signs above its own floors
  }

  /** The process ends, whatever is under way, and another one reads the files back. */
  async #crash(underWay: Promise<unknown> = Promise.resolve()): Promise<void> {
    this.#meet("crash");
    this.#tell("crash");
    // What the kernel was handed still happens: the end of a running write is as good a place to die as any.
    await underWay.catch(() => undefined);
    await this.#open();
  }

  async #open(): Promise<void> {
    await this.stop();
    this.#abort = new AbortController();
    this.#store = await openSnapshotStore({
      directory: this.#directory,
      cluster: CLUSTER,
      keys: honest.ring,
      clock: this.#clock,
      log: silentLog,
      signal: this.#abort.signal,
    });
  }

  /** The invariant: what answers was signed for this cluster, is unaltered, above every floor, and never older than before. */
  #judge(): void {
    const current = this.#store?.current;
    if (current === undefined) return;
    const { statement, index } = current;
    const signed = this.#offers.find((offer) => offer.good && offer.contentHash === statement.contentHash);
    expect([statement.cluster, signed === undefined]).toEqual([CLUSTER, false]);
    expect(encodeContent(index.content).contentHash).toBe(statement.contentHash);
    expect(statement.sequence).toBeGreaterThanOrEqual(this.#floor);
    expect(statement.sequence).toBeGreaterThanOrEqual(this.#highest);
    this.#highest = statement.sequence;
    const ask = (verb: string): boolean =>
      check(
        index,
        { user: "alice", groups: [] },
        { form: "resource", verb, apiGroup: "", resource: "pods", subresource: "", namespace: "a", name: "" },
        this.#clock.now(),
      ).allowed;
    expect([ask(verbOf(statement.sequence)), ask(verbOf(statement.sequence + 1))]).toEqual([true, false]);
  }

  #accepted(): number {
    return this.#store?.floor.accepted?.sequence ?? 0;
  }

  #renew(): void {
    const offer = this.#offers.findLast(({ good }) => good);
    if (offer !== undefined) this.#offers.push(this.#sign(honest, CLUSTER, offer.sequence, true));
  }

  /** A good offer with other content, or with a body that was changed after signing. */
  #alter(): void {
    const offer = this.#offers.findLast(({ good }) => good);
    if (offer === undefined) return;
    const other = encodeContent(contentOf(CLUSTER, offer.sequence + 7)).bytes;
    if (this.#chance(0.5)) this.#offers.push({ ...offer, content: other, good: false });
    else {
      const envelope = JSON.parse(Buffer.from(offer.envelope).toString()) as { payload: string };
      const body = Buffer.from(envelope.payload, "base64").toString();
      const payload = Buffer.from(body.replace('"minSequence":0', '"minSequence":1')).toString("base64");
      this.#offers.push({ ...offer, envelope: Buffer.from(JSON.stringify({ ...envelope, payload })), good: false });
    }
  }

  #sign(key: typeof honest, cluster: string, sequence: number, good: boolean): Offer {
    const statement = { epoch: EPOCH, sequence, issuedAtMs: this.#clock.now() };
    const offer = { ...signedSnapshot(contentOf(cluster, sequence), key, statement), sequence, good };
    if (good) this.#offers.push(offer);
    return offer;
  }

  #tell(line: string): void {
    this.story.push(line);
  }

  #meet(what: string): void {
    this.#met.set(what, (this.#met.get(what) ?? 0) + 1);
  }

  #between(min: number, max: number): number {
    return integerBetween(this.#random, min, Math.max(min, max));
  }

  #dies(probability: number): boolean {
    return !this.#calm && this.#chance(probability);
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }
}

function verbOf(sequence: number): string {
  return `verb${sequence}`;
}

/** Alice may do with pods what the sequence says, and nothing else: an answer tells which content it is from. */
function contentOf(targetCluster: string, sequence: number): SnapshotContent {
  const set = ruleSetOf([ruleOf({ verbs: [verbOf(sequence)], apiGroups: [""], resources: ["pods"] })]);
  const source = { profileNamespace: "seam-system", profileName: "p", declaration: 0, permissionSet: "s", policy: "" };
  const binding = { ruleSet: set.id, scope: "cluster" as const, namespaces: [], expiresAt: "", source };
  return {
    schemaVersion: 2,
    targetCluster,
    ceilings: {},
    ruleSets: [set],
    subjects: [{ kind: "User", namespace: "", name: "alice", principalRef: "alice", bindings: [binding] }],
    profiles: [],
    suspendedPrincipals: [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}
