import { describe, expect, it } from "vitest";
import { ItemReport_Level as Level } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ITEM_RETRY } from "../../src/federation/session/limits.ts";
import { Agent } from "./agent.ts";
import { BlobWorld, DesiredState, type Poison } from "./desired-state.ts";
import { Hub } from "./hub.ts";
import { World } from "./world.ts";

const AGENTS = 500;
/** The one that gets poison. */
const VICTIM = 7;
const MINUTE_MS = 60_000;

describe("one poison object to 1 of 500 agents", { timeout: 300_000 }, () => {
  it("is tried once, shown, not tried again by renewals and reconnects, and hurts nobody and nothing else", () => {
    const fleet = new Fleet();
    const before = fleet.others();
    const poisoned = fleet.put("bad", "apply");
    const beside = fleet.put("good", "none");
    fleet.runFor(MINUTE_MS);
    const tried = fleet.victim.handlersRun;

    // A day of renewals, every third with a new stream: neither is a reason to send or try it again.
    const body = poisoned.digest;
    fleet.hub.body(body).served = 0;
    for (let renewal = 0; renewal < 12; renewal++) {
      if (renewal % 3 === 0) fleet.victim.reset();
      fleet.renew();
      fleet.runFor(2 * MINUTE_MS);
    }
    expect(fleet.victim.handlersRun).toBe(tried);
    expect(fleet.hub.body(body).served).toBe(0);
    expect(fleet.others()).toEqual(before);

    // What explain says is what the hub has stored: agent, object, digest, reason, and how far it came.
    const report = fleet.report("bad");
    expect(report).toMatchObject({ kind: "PackInstalled", name: "bad", digest: body, level: Level.VERIFIED });
    expect(report?.nack).toMatchObject({ retryable: false, reason: "POISON", detail: "refused in apply" });
    expect(fleet.report("good")).toMatchObject({ digest: beside.digest, level: Level.HEALTHY });
    expect(fleet.victim.session?.item("PackInstalled/bad")?.record.quarantinedBy).toBe("v1");

    // An operator's retry is one more try; new content ends it.
    fleet.hub.retry(fleet.cluster, "PackInstalled", "bad");
    fleet.runFor(MINUTE_MS);
    expect(fleet.victim.handlersRun).toBe(tried + 1);
    expect(fleet.report("bad")?.nack?.reason).toBe("POISON");
    fleet.put("bad", "none");
    fleet.runFor(MINUTE_MS);
    expect([fleet.report("bad")?.level, fleet.report("bad")?.nack]).toEqual([Level.HEALTHY, undefined]);
    expect(fleet.others()).toEqual(before);
  });

  it("is tried at most once per step of the backoff when it says that trying again may help", () => {
    const fleet = new Fleet();
    const before = fleet.others();
    fleet.victim.tenant.busy = true;
    const tried = fleet.victim.handlersRun;
    fleet.put("slow", "none");
    const hours = 1;
    fleet.runFor(hours * 60 * MINUTE_MS);
    // 1, 2, 4 … 256 s and then 300 s, each at least half of the base: full jitter halves them on average.
    const most = Math.log2(ITEM_RETRY.capMs / ITEM_RETRY.baseMs) + (hours * 3_600_000) / (ITEM_RETRY.capMs / 4);
    const tries = fleet.victim.handlersRun - tried;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(most);
    expect(fleet.report("slow")?.nack).toMatchObject({ retryable: true, reason: "BUSY" });
    expect(Number(fleet.report("slow")?.nextRetryUnixMs)).toBeGreaterThan(0);
    expect(fleet.others()).toEqual(before);
    fleet.victim.tenant.busy = false;
    fleet.runFor(6 * MINUTE_MS);
    expect([fleet.report("slow")?.level, fleet.report("slow")?.nack]).toEqual([Level.HEALTHY, undefined]);
  });
});

/** 500 connected agents with two healthy items each. */
class Fleet {
  readonly world = new World(1, false);
  readonly hub: Hub;
  readonly #blobs = new BlobWorld();
  readonly #states: readonly DesiredState[];
  readonly #agents: readonly Agent[];

  constructor() {
    this.#states = Array.from({ length: AGENTS }, (_, at) => new DesiredState(`tenant-${at}`, this.#blobs));
    this.hub = new Hub(this.world, this.#states);
    this.#agents = this.#states.map((state) => new Agent(this.world, this.hub, state.cluster, this.#blobs));
    for (const state of this.#states) {
      for (const name of ["one", "two"]) state.put("PackInstalled", name, 200, 0, "none");
      state.sign(this.hub.wallMs);
    }
    this.hub.boot();
    for (const agent of this.#agents) this.world.after(this.world.between(0, 2_000), () => agent.boot());
    this.runFor(MINUTE_MS);
    expect(this.#agents.every(({ session }) => session?.connected === true)).toBe(true);
    expect(this.#agents.every(({ handlersRun }) => handlersRun === 6)).toBe(true);
  }

  get victim(): Agent {
    return at(this.#agents, VICTIM);
  }

  get cluster(): string {
    return this.victim.cluster;
  }

  /** The victim's desired state has a new body for an item. */
  put(name: string, poison: Poison): ReturnType<DesiredState["put"]> {
    const item = at(this.#states, VICTIM).put("PackInstalled", name, 100_000, 0, poison);
    this.renew();
    return item;
  }

  /** The victim's index is signed anew. */
  renew(): void {
    at(this.#states, VICTIM).sign(this.hub.wallMs);
    this.hub.desiredChanged(this.cluster);
  }

  runFor(ms: number): void {
    this.world.run(this.world.nowMs + ms);
  }

  report(
    name: string,
  ): ReturnType<Hub["store"]>["levels"] extends Map<string, infer Report> ? Report | undefined : never {
    return this.hub.store(this.cluster).levels.get(`PackInstalled/${name}`);
  }

  /** What the other agents did so far. */
  others(): readonly [number, number] {
    const rest = this.#agents.filter((agent) => agent !== this.victim);
    return [
      rest.reduce((sum, agent) => sum + agent.busyFrames, 0),
      rest.reduce((sum, agent) => sum + agent.handlersRun, 0),
    ];
  }
}

function at<T>(from: readonly T[], index: number): T {
  const found = from[index];
  if (found === undefined) throw new Error(`there is no ${index}`);
  return found;
}
