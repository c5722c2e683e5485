import { type ReplicaFleet } from "./replica-fleet.ts";

/** What happened to the agents of a replica that was hurt. */
export interface FaultReport {
  readonly fault: string;
  readonly replica: string;
  readonly agents: number;
  /** Time until each agent was live elsewhere, milliseconds, ascending. */
  readonly servedAgainMs: readonly number[];
}

/** How often replicas are looked at while something is waited for, milliseconds. */
const LOOK_MS = 100;

/** SIGKILL, and a new process of the same name. */
export async function killAndRestart(fleet: ReplicaFleet, replica: string): Promise<FaultReport> {
  const report = await hurt(fleet, "kill -9", replica, () => fleet.kill(replica));
  await fleet.restart(replica);
  return report;
}

/** SIGSTOP until everybody left and the membership is over, then SIGCONT. */
export async function freezeAndThaw(fleet: ReplicaFleet, replica: string): Promise<FaultReport> {
  const { identity } = await fleet.look(replica);
  const report = await hurt(fleet, "SIGSTOP, SIGCONT", replica, async () => fleet.signal(replica, "SIGSTOP"));
  await others(fleet, replica, (alive) => !alive.includes(replica));
  fleet.signal(replica, "SIGCONT");
  await until(async () => {
    const look = await fleet.look(replica);
    return look.member && look.identity !== identity;
  });
  return report;
}

/** No way to the API server until everybody left and the membership is over, then the cable is plugged in again. */
export async function partitionAndHeal(fleet: ReplicaFleet, replica: string): Promise<FaultReport> {
  const report = await hurt(fleet, "no API server", replica, async () => fleet.partition(replica));
  await others(fleet, replica, (alive) => !alive.includes(replica));
  fleet.heal(replica);
  await until(async () => (await fleet.look(replica)).member);
  await others(fleet, replica, (alive) => alive.includes(replica));
  return report;
}

/** Jumps of a wall clock, milliseconds: far ahead, back behind where it was, and right again. Certificates stay valid at all of them. */
const JUMPS_MS = [6 * 3_600_000, -6 * 3_600_000 - 240_000, 240_000] as const;

/** The wall clock jumps in both directions: nobody may notice. Returns how many agents left the replica. */
export async function jumpClock(fleet: ReplicaFleet, replica: string): Promise<number> {
  const before = await fleet.look(replica);
  for (const byMs of JUMPS_MS) {
    const { counts } = await fleet.look(replica);
    fleet.jumpClock(replica, byMs);
    await until(async () => renewals((await fleet.look(replica)).counts) >= renewals(counts) + 2);
  }
  const after = await fleet.look(replica);
  if (after.identity !== before.identity) throw new Error(`${replica} lost its membership to a clock`);
  return before.connected - after.connected;
}

function renewals(counts: ReadonlyMap<string, number>): number {
  return counts.get("federation_membership_writes_total") ?? 0;
}

async function hurt(
  fleet: ReplicaFleet,
  fault: string,
  replica: string,
  inflict: () => Promise<void>,
): Promise<FaultReport> {
  const agents = await fleet.mark(replica);
  await inflict();
  const servedAgainMs = [...(await fleet.servedAgain())].sort((a, b) => a - b);
  return { fault, replica, agents, servedAgainMs };
}

/** Waits until every other replica sees the same. */
async function others(
  fleet: ReplicaFleet,
  replica: string,
  holds: (alive: readonly string[]) => boolean,
): Promise<void> {
  for (const other of fleet.replicas.filter((name) => name !== replica))
    await until(async () => holds((await fleet.look(other)).alive));
}

/** Waits until replicas carry about the same number of agents, as the balance allows. Returns how many each carries. */
export async function evenedOut(fleet: ReplicaFleet): Promise<readonly number[]> {
  let counts: number[] = [];
  await until(async () => {
    counts = await Promise.all(fleet.replicas.map(async (name) => (await fleet.look(name)).connected));
    const average = fleet.clusters.length / counts.length;
    return counts.every((count) => Math.abs(count - average) <= average * 0.25 + 3);
  });
  return counts;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
