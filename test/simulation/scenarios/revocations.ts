import { must } from "../world.ts";
import type { Scenario } from "./scenario.ts";
import type { SmallWorld } from "./small-world.ts";

const MINUTE_MS = 60_000;

/** Pushes a revocation that no index repeats. */
function push(small: SmallWorld, name = "first"): bigint {
  const revocation = small.state.revoke(name);
  small.hub.revoke(small.cluster, revocation);
  return BigInt(revocation.serial);
}

function pending(small: SmallWorld): string {
  return small.hub
    .store(small.cluster)
    .pending.map(({ serial }) => serial)
    .join(" ");
}

function inForce(small: SmallWorld, serial: bigint): boolean {
  return small.agent.tenant.revoked.has(serial) && pending(small) === "";
}

/** A revocation comes into force by every way there is, each on its own. */
export const REVOCATIONS: readonly Scenario[] = [
  {
    name: "a revocation that failed is pushed again on the same stream, with no index to help",
    run(begin) {
      const small = begin();
      const dials = small.agent.session?.counters.dials;
      small.agent.tenant.failedRevocations = 1;
      const serial = push(small);
      small.runFor(30_000);
      must(!inForce(small, serial) && pending(small) === "1", "a revocation that failed is said to be in force");
      small.until("the revocation is in force", 70_000, () => inForce(small, serial));
      must(small.agent.session?.counters.dials === dials, "only a new stream helped");
    },
  },
  {
    name: "what follows a failed revocation comes into force meanwhile, and the failed one after it",
    run(begin) {
      const small = begin();
      small.agent.tenant.failedRevocations = 1;
      const first = push(small);
      const second = push(small, "other");
      small.until("the second is in force", 10_000, () => small.agent.tenant.revoked.has(second));
      must(small.agent.store.revocationSerial === 0n, "the durable serial passes over the failed one");
      small.agent.reset(); // Hello speaks for everything up to its serial
      small.until("both are in force", 2 * MINUTE_MS, () => inForce(small, first) && inForce(small, second));
      small.runFor(1_000);
      must(small.agent.store.revocationSerial === second, "the durable serial did not follow");
    },
  },
  {
    name: "an accepted index settles a revocation whose every push fails, and no other one",
    run(begin) {
      const small = begin();
      small.agent.tenant.failedRevocations = Infinity;
      const first = small.state.revoke("first");
      small.state.sign(small.hub.wallMs);
      const second = small.state.revoke("first");
      small.hub.revoke(small.cluster, first);
      small.hub.revoke(small.cluster, second);
      small.hub.desiredChanged(small.cluster);
      small.until("the first is settled", 15_000, () => pending(small) === "2");
      small.runFor(15_000);
      must(pending(small) === "2", "a floor that no index repeats is settled");
      small.renew();
      small.until("the second is settled", 15_000, () => pending(small) === "");
    },
  },
  {
    name: "a push that was lost with its stream is repeated on the next one",
    run(begin) {
      const small = begin();
      small.agent.tenant.failedRevocations = 0;
      small.agent.wire.stuck = "down";
      const serial = push(small);
      small.runFor(2_000);
      small.hub.evict(small.cluster);
      small.agent.crash(0);
      small.runFor(100);
      small.agent.wire.stuck = undefined;
      small.until("the revocation is in force", 30_000, () => inForce(small, serial));
    },
  },
  {
    name: "an acknowledgement that was lost with its stream is made good by Hello",
    run(begin) {
      const small = begin();
      small.agent.tenant.failedRevocations = 0;
      small.agent.wire.stuck = "up";
      const serial = push(small);
      small.until("the agent has it in force", 10_000, () => small.agent.store.revocationSerial === serial);
      must(pending(small) === "1", "the hub heard through a path that is stuck");
      small.hub.crash(0); // what is still on its way goes nowhere
      small.agent.crash(0);
      small.runFor(50);
      small.agent.wire.stuck = undefined;
      small.until("the hub knows", 30_000, () => pending(small) === "");
    },
  },
  {
    name: "an index that the agent holds already settles what it repeats, although its report was lost",
    run(begin) {
      const small = begin();
      small.agent.tenant.failedRevocations = Infinity;
      small.agent.wire.stuck = "up";
      const revocation = small.state.revoke("first");
      small.hub.revoke(small.cluster, revocation);
      small.renew();
      small.until("its floor is in force", 15_000, () => small.agent.tenant.floor("PackInstalled", "first") === 1);
      small.runFor(1_000);
      small.hub.crash(0);
      small.runFor(10_000);
      must(pending(small) === "1", "the hub heard through a path that is stuck");
      small.agent.wire.stuck = undefined;
      small.until("the revocation is settled", 2 * MINUTE_MS, () => pending(small) === "");
    },
  },
  {
    name: "a revocation made while the agent is away waits for it",
    run(begin) {
      const small = begin();
      small.agent.tenant.failedRevocations = 0;
      small.agent.wire.partitioned = true;
      small.until("the stream ends", 3 * MINUTE_MS, () => !small.session.connected);
      const serial = push(small);
      small.hub.crash(0); // the list is the store's, not the process's
      small.runFor(MINUTE_MS);
      small.agent.wire.partitioned = false;
      small.until("the revocation is in force", MINUTE_MS, () => inForce(small, serial));
    },
  },
];
