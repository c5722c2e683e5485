import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ItemReport_Level as Level } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ConfigMap, Secret } from "../../../src/api/builtin.ts";
import { GOVERNANCE_SECRET_PREFIX, SECRET_NAMES, tenantNamespace } from "../../../src/api/names.ts";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import type { ItemContext, ItemHandler } from "../../../src/federation/spoke/ports.ts";
import { type SignedFederation, openSignedFederation } from "../../support/signed-federation.ts";

const CLUSTER = "tenant-1";
const NAMESPACE = tenantNamespace(CLUSTER);
const DAY_MS = 24 * 3_600_000;
/** Real sockets, disks and watches on a busy machine. */
const PATIENT = { timeout: 30_000, interval: 20 };

/** The real time, and what the test adds to the wall clock. */
class ShiftedClock implements Clock {
  aheadMs = 0;
  now = (): number => systemClock.now() + this.aheadMs;
  monotonic = (): number => systemClock.monotonic();
  sleep = (ms: number, signal?: AbortSignal): Promise<void> => systemClock.sleep(ms, signal);
}

let federation: SignedFederation;
let clock: ShiftedClock;

beforeEach(async () => {
  clock = new ShiftedClock();
  federation = await openSignedFederation(CLUSTER, clock);
});
afterEach(() => federation.close());

const itemName = (name: string): string => `rbacprofile-${name}`;

const say = (name: string, serial: number, deleted = false): Promise<void> =>
  federation.say({ kind: "RBACProfile", name, serial, deleted });

/** The store of the numbering is gone, as after a restore that left it out; whatever else is in `names` too. */
async function loseNumbering(names: readonly string[]): Promise<void> {
  clock.aheadMs += 60_000; // an epoch is a second at least
  for (const name of names)
    await federation.management.cluster.delete(Secret, {
      namespace: NAMESPACE,
      name: GOVERNANCE_SECRET_PREFIX + itemName(name),
    });
  await federation.management.cluster.delete(ConfigMap, {
    namespace: NAMESPACE,
    name: SECRET_NAMES.federationIndexLedger,
  });
  await federation.management.cluster.delete(Secret, { namespace: NAMESPACE, name: SECRET_NAMES.federationIndex });
}

/** Something else happens in the tenant's namespace, after which its index is looked at. */
let touched = 0;
const touch = () =>
  federation.management.cluster.create(Secret, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: NAMESPACE, name: `touched-${++touched}` },
  });

const index = () => federation.desired.current(CLUSTER)?.document;

/** Version under which an item, or its tombstone, stands in the index; resolves when it does. */
async function standing(name: string, deleted = false): Promise<number> {
  const find = () =>
    index()?.items.find((item) => item.name === itemName(name) && (item.deleted ?? false) === deleted)?.version;
  await expect.poll(find, PATIENT).toBeDefined();
  return find() ?? 0;
}

/** Resolves when the last thing that the hub has of an item is that this version of it is done. */
const done = (name: string, version: number) =>
  expect
    .poll(async () => {
      const report = (await federation.facts.itemLevels(CLUSTER)).find((item) => item.name === itemName(name));
      return report?.level === Level.HEALTHY ? Number(report.version) : undefined;
    }, PATIENT)
    .toBe(version);

const known = async (name: string): Promise<boolean> =>
  (await federation.facts.itemLevels(CLUSTER)).some((item) => item.name === itemName(name));
const named = (name: string): boolean => index()?.items.some((item) => item.name === itemName(name)) ?? false;

/** An agent whose handler takes everything and remembers what it was asked. */
async function agent(): Promise<{ readonly calls: readonly string[]; stop(): Promise<void> }> {
  const calls: string[] = [];
  const take = (phase: string) => (context: ItemContext) => {
    calls.push(`${phase} ${context.item.name}@${context.item.version}`);
    return Promise.resolve({ ok: true } as const);
  };
  const handler: ItemHandler = {
    kind: "Governance",
    verify: take("verify"),
    apply: take("apply"),
    healthy: take("healthy"),
    remove: take("remove"),
  };
  const { stop: end } = await federation.rig.spoke(CLUSTER, { handlers: [handler], clock });
  return { calls, stop: end };
}

describe("a new epoch of the index, with the real builder, hub, store and agent", () => {
  it("brings new numbers to what stays, repeats nothing, and lets its tombstones go a day later", async () => {
    await federation.startHub();
    await say("dead", 1);
    await standing("dead");
    const first = await agent();
    await done("dead", await standing("dead"));
    await say("dead", 2, true);
    const deadBefore = await standing("dead", true);
    await done("dead", deadBefore);
    await say("kept", 1);
    await done("kept", await standing("kept"));
    await first.stop();

    // Restored in parts: the index is there before the Secrets of its items are.
    const before = index()?.epoch ?? 0;
    await loseNumbering(["dead", "kept"]);
    await expect.poll(() => index()?.epoch, PATIENT).toBeGreaterThan(before);
    for (const name of ["one", "two", "three", "four"]) {
      await say(name, 1);
      await standing(name);
    }
    await say("kept", 1);
    await say("dead", 2, true);
    const dead = await standing("dead", true);
    expect(dead).toBeGreaterThan(deadBefore);

    const second = await agent();
    await done("dead", dead);
    await done("kept", await standing("kept"));
    await done("four", await standing("four"));
    // What was done in the epoch before stays done.
    expect(second.calls.filter((call) => /dead|kept/.test(call))).toEqual([]);

    // After a day, and not at some giving up; what was said of it is forgotten too.
    await touch();
    clock.aheadMs += DAY_MS;
    expect(named("dead")).toBe(true);
    await touch();
    await expect.poll(() => named("dead"), PATIENT).toBe(false);
    await expect.poll(() => known("dead"), PATIENT).toBe(false);
    await second.stop();

    // Hub and agent agree: a new stream repeats no report.
    const reports = () => federation.rig.metrics.counts.get("federation_messages_total itemReport in") ?? 0;
    const sent = reports();
    const third = await agent();
    await say("last", 1);
    await done("last", await standing("last"));
    expect(reports() - sent).toBeLessThanOrEqual(4); // the levels of one item
    expect(third.calls.filter((call) => !call.includes("last"))).toEqual([]);
  });

  it("does not take an old word on an item for a word on its tombstone: an agent that was away still finds it", async () => {
    await federation.startHub();
    for (const name of ["one", "two", "three", "dead"]) {
      await say(name, 1);
      await standing(name);
    }
    const first = await agent();
    const old = await standing("dead");
    await done("dead", old);
    await first.stop();

    const before = index()?.epoch ?? 0;
    await loseNumbering([]);
    await expect.poll(() => index()?.epoch, PATIENT).toBeGreaterThan(before);
    await say("dead", 2, true);
    const dead = await standing("dead", true);
    expect(dead).toBeLessThan(old);
    clock.aheadMs += DAY_MS;
    await touch();
    const { sequence = 0 } = index() ?? {};
    await expect.poll(() => index()?.sequence, PATIENT).toBeGreaterThan(sequence); // it has to be renewed anyway
    expect(named("dead")).toBe(true);

    const second = await agent();
    await done("dead", dead);
    expect(second.calls).toEqual([`remove rbacprofile-dead@${dead}`]);
    await touch();
    await expect.poll(() => named("dead"), PATIENT).toBe(false);
  });
});
