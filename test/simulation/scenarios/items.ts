import { ITEM_RETRY, MAX_RUNNING_HANDLERS } from "../../../src/federation/session/limits.ts";
import { ItemReport_Level as Level } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { must } from "../world.ts";
import type { Scenario } from "./scenario.ts";
import type { SmallWorld } from "./small-world.ts";

const MINUTE_MS = 60_000;
/** Longest time of a phase that is not health, and of a commit, milliseconds. */
const PHASE_MS = 250;

/** Items that do not all get a place within the time of a story's step. */
const MANY = 30 * MAX_RUNNING_HANDLERS;

/** Times at which phases of an item started. */
function starts(small: SmallWorld, name: string): number[] {
  const times: number[] = [];
  small.agent.onHandler = (key) => {
    if (key === `PackInstalled/${name}`) times.push(small.world.nowMs);
  };
  return times;
}

/** How often an item is tried, what is said of it, and when it is gone. */
export const ITEMS: readonly Scenario[] = [
  {
    name: "a refusal that may pass is tried again by the backoff: not sooner, not later, and ever less often",
    run(begin) {
      const small = begin();
      small.agent.tenant.busy = true;
      const times = starts(small, "busy");
      small.put("busy");
      small.runFor(20 * MINUTE_MS);
      let longestMs = 0;
      for (let at = 1; at < times.length; at++) {
        const waitedMs = (times[at] ?? 0) - (times[at - 1] ?? 0);
        const mostMs = Math.min(ITEM_RETRY.capMs, ITEM_RETRY.baseMs * ITEM_RETRY.factor ** (at - 1)) + PHASE_MS;
        must(
          waitedMs >= ITEM_RETRY.baseMs / 2 && waitedMs <= Math.max(mostMs, ITEM_RETRY.baseMs / 2 + PHASE_MS),
          `try ${at + 1} comes ${waitedMs} ms after the one before; at most ${mostMs}`,
        );
        longestMs = Math.max(longestMs, waitedMs);
      }
      must(times.length > 8 && longestMs > 30_000, `${times.length} tries, at most ${longestMs} ms apart`);
      small.agent.tenant.busy = false;
      small.converge(6 * MINUTE_MS);
    },
  },
  {
    name: "an operator's retry is one more try, also when it was lost on the way, and none on later streams",
    run(begin) {
      const small = begin();
      const times = starts(small, "bad");
      small.put("bad", "verify");
      small.runFor(MINUTE_MS);
      must(times.length < 2, `tried ${times.length} times`);
      small.agent.wire.stuck = "down";
      small.hub.retry(small.cluster, "PackInstalled", "bad");
      small.runFor(2_000);
      small.agent.crash(0);
      small.runFor(50);
      small.agent.wire.stuck = undefined;
      small.runFor(MINUTE_MS);
      must(times.length === 2, `tried ${times.length} times after a retry that was lost once`);
      for (let at = 0; at < 3; at++) {
        small.agent.reset();
        small.runFor(MINUTE_MS);
      }
      must(times.length === 2, `tried ${times.length} times after new streams`);
    },
  },
  {
    name: "a retry of one digest does not lift the quarantine of the next",
    run(begin) {
      const small = begin();
      const times = starts(small, "bad");
      small.put("bad", "verify");
      small.runFor(MINUTE_MS);
      const { onHandler } = small.agent;
      small.agent.onHandler = (key, phase) => {
        onHandler(key, phase);
        if (times.length === 2) small.agent.wire.stuck = "up"; // the hub does not hear of the next refusal
      };
      small.put("bad", "verify");
      small.until("the next digest is refused", 15_000, () => times.length === 2);
      small.runFor(1_000);
      small.hub.retry(small.cluster, "PackInstalled", "bad");
      small.runFor(10_000);
      must(times.length === 2, "an operator's retry of the former digest lifted the quarantine of this one");
      small.agent.wire.stuck = undefined;
      small.converge(MINUTE_MS);
    },
  },
  {
    name: "an item that is long on its way to health is said to be applied meanwhile",
    run(begin) {
      const small = begin();
      small.agent.tenant.healthMs = 10 * MINUTE_MS;
      small.put("slow");
      small.until("the hub knows", 2_000, () => small.report("slow")?.level === Level.APPLIED);
      small.agent.tenant.healthMs = undefined;
      small.converge(11 * MINUTE_MS);
    },
  },
  {
    name: "what becomes of an item between Hello and Welcome is reported",
    run(begin) {
      const small = begin();
      small.agent.tenant.healthMs = 4_000;
      small.put("between");
      small.until("it is applied", 2_000, () => small.report("between")?.level === Level.APPLIED);
      small.hub.off.loadMs = 6_000; // Welcome takes longer than health
      small.agent.reset();
      small.converge(15_000);
    },
  },
  {
    name: "a tombstone that leaves the index before it is done is done all the same, and then forgotten",
    run(begin) {
      const small = begin();
      small.agent.tenant.busy = true;
      small.state.remove("PackInstalled/first", true);
      small.renew();
      small.until(
        "removal is tried",
        10_000,
        () => small.agent.store.items.get("PackInstalled/first")?.nack !== undefined,
      );
      small.state.drop("PackInstalled/first");
      small.renew();
      small.runFor(5_000);
      must(small.agent.store.items.has("PackInstalled/first"), "a tombstone was forgotten before it was done");
      small.agent.tenant.busy = false;
      small.converge(5 * MINUTE_MS);
      must(!small.agent.tenant.applied.has("PackInstalled/first"), "a removed item is in force");
    },
  },
  {
    name: "a new version does not wait for what became of the last one",
    run(begin) {
      const small = begin();
      small.agent.tenant.busy = true;
      small.put("late");
      small.runFor(30 * MINUTE_MS);
      small.agent.tenant.busy = false;
      small.agent.tenant.healthMs = 10 * MINUTE_MS;
      small.put("late"); // its backoff would be five minutes
      small.until("it is applied", 3_000, () => small.report("late")?.level === Level.APPLIED);
      small.put("late"); // the one before looks at its health for ten
      const { version } = small.put("late");
      const isApplied = (): boolean => small.agent.tenant.applied.get("PackInstalled/late")?.version === version;
      small.until("the newest is applied", 3_000, isApplied);
      small.agent.tenant.healthMs = 1_000;
      small.put("late");
      small.converge(MINUTE_MS);
    },
  },
  {
    name: "a removal that waits for a place is the next to get one",
    run(begin) {
      const small = begin();
      for (let at = 0; at < MANY; at++) small.state.put("PackInstalled", `item-${at}`, 300, 0, "none");
      const began: string[] = [];
      small.agent.onHandler = (key, phase) => began.push(`${phase} ${key}`);
      small.renew();
      small.until("every place is taken", 5_000, () => began.length >= MAX_RUNNING_HANDLERS);
      small.state.remove("PackInstalled/first", false);
      small.renew();
      const verified = (): number => began.filter((what) => what.startsWith("verify")).length;
      let waited = 0;
      small.agent.onHandler = (key, phase) => {
        began.push(`${phase} ${key}`);
        if (small.agent.store.items.get("PackInstalled/first")?.item.deleted !== true) waited = verified();
      };
      small.until("it is removed", 5_000, () => began.includes("remove PackInstalled/first"));
      const at = began.indexOf("remove PackInstalled/first");
      const before = began.slice(0, at).filter((what) => what.startsWith("verify")).length;
      must(before < MANY, "nothing waited beside it");
      // What started while the index was made durable did not know of it.
      must(before - waited <= MAX_RUNNING_HANDLERS, `${before - waited} items got a place before it`);
      small.converge(MINUTE_MS);
    },
  },
  {
    name: "an item that comes back while its tombstone is not done stays",
    run(begin) {
      const small = begin();
      small.agent.tenant.busy = true;
      small.state.remove("PackInstalled/first", true);
      small.renew();
      small.runFor(3_000);
      small.state.drop("PackInstalled/first");
      small.renew();
      small.runFor(3_000);
      small.put("first");
      small.runFor(3_000);
      small.agent.tenant.busy = false;
      small.converge(6 * MINUTE_MS);
      must(small.agent.tenant.applied.has("PackInstalled/first"), "it is gone");
    },
  },
  {
    name: "a tombstone that is done leaves nothing behind when it leaves the index",
    run(begin) {
      const small = begin();
      small.state.remove("PackInstalled/first", true);
      small.renew();
      small.converge(MINUTE_MS);
      small.state.drop("PackInstalled/first");
      small.renew();
      small.converge(MINUTE_MS);
      small.agent.crash(0);
      small.converge(MINUTE_MS);
      must(small.agent.store.items.size === 0 && small.agent.store.blobs.size === 0, "something of it is left");
    },
  },
  {
    name: "a new numbering starts nothing anew, and the tombstones in it are acknowledged under their new numbers and leave nothing behind",
    run(begin) {
      const small = begin();
      const key = "PackInstalled/first";
      small.put("kept");
      small.converge(MINUTE_MS);
      small.state.remove(key, true);
      small.renew();
      small.converge(MINUTE_MS);
      const before = small.agent.store.items.get(key)?.item.version;
      const ran = small.agent.session?.counters.handlersRun;
      small.newEpoch();
      small.renew();
      small.converge(MINUTE_MS);
      const item = small.agent.store.items.get(key)?.item;
      must(item !== undefined && item.version !== before, "the tombstone has its old number");
      must(Number(small.report("first")?.version) === item.version, "the hub knows it by its old number");
      must(small.agent.session?.counters.handlersRun === ran, "something ran again");
      small.state.drop(key);
      small.renew();
      small.converge(MINUTE_MS);
      must(!small.agent.store.items.has(key), "something of it is left");
      must(small.agent.tenant.applied.has("PackInstalled/kept"), "what stays is gone");
    },
  },
  {
    name: "a digest that was refused for good does not ride with an offer of a new numbering",
    run(begin) {
      const small = begin();
      small.put("bad", "verify");
      small.converge(MINUTE_MS);
      small.hub.off.processMs = 5_000;
      small.hub.crash(0);
      small.newEpoch(); // HubRules looks at the offer
      small.state.sign(small.hub.wallMs);
      small.runFor(6_000);
      small.converge(2 * MINUTE_MS);
    },
  },
];
