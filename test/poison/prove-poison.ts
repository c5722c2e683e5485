import { PoisonFleet, eventually } from "./poison-fleet.ts";

/** Renewals and new streams of the victim while its poison stands. */
const RENEWALS = 10;
const RECONNECTS = 3;
/** Tries of what is refused for a while that are watched. */
const TRIES = 4;

/** What one poison object did to a fleet. */
export interface PoisonReport {
  readonly agents: number;
  readonly version: number;
  readonly digest: string;
  /** Times the poison's body was sent, and its handler was asked, until an operator retried. */
  readonly poisonSent: number;
  readonly poisonTried: number;
  /** Times after the retry. */
  readonly poisonSentAfterRetry: number;
  readonly poisonTriedAfterRetry: number;
  /** Tries of the object that was refused for a while, how often its body was sent, and tries that came before they were announced. */
  readonly busyTried: number;
  readonly busySent: number;
  readonly busyEarly: number;
  /** True when every other agent was asked exactly what it was asked before, kept its session, and took its own change. */
  readonly othersUnmoved: boolean;
  /** The victim's other object. */
  readonly besideHealthy: boolean;
  /** What operators saw: explain while it stood, retry, explain afterwards, and a retry of what is not refused. */
  readonly explained: Awaited<ReturnType<PoisonFleet["seamctl"]>>;
  readonly retried: Awaited<ReturnType<PoisonFleet["seamctl"]>>;
  readonly healed: Awaited<ReturnType<PoisonFleet["seamctl"]>>;
  readonly nothingToRetry: Awaited<ReturnType<PoisonFleet["seamctl"]>>;
}

/** One poison object to 1 of many agents of a real hub: everything is counted (lessons §3.6, R-4.26). */
export async function provePoison(agents: number, say: (text: string) => void = () => {}): Promise<PoisonReport> {
  const fleet = await PoisonFleet.start(agents);
  try {
    const { victim } = fleet;
    say(`${fleet.connected} agents connected, all hold the base`);
    const calls = fleet.otherCalls();
    const sessions = fleet.otherSessions();

    const sentBefore = fleet.bodiesSent;
    const poison = fleet.put("bad", "poison");
    await eventually(async () => (await fleet.level(victim, "bad")).reason === "POISON", "the poison is refused");
    const beside = fleet.put("good", "fine");
    await fleet.healthy(victim, "good", beside.version);
    const besideSent = 1;
    for (let renewal = 1; renewal <= RENEWALS; renewal++) {
      if (renewal % Math.ceil(RENEWALS / RECONNECTS) === 0) await fleet.reconnectVictim();
      await fleet.healthy(victim, "base", fleet.putBase(victim, `renewal ${renewal}`));
    }
    const poisonSent = fleet.bodiesSent - sentBefore - besideSent;
    const poisonTried = fleet.victimCalls("bad").length;
    const explained = await fleet.seamctl("explain", victim, "bad");
    say(`poison: sent ${poisonSent}, tried ${poisonTried}, after ${RENEWALS} renewals and ${RECONNECTS} new streams`);

    const busyBefore = fleet.bodiesSent;
    fleet.put("slow", "busy");
    const tries = () => fleet.refusals.filter(({ name }) => name === "slow");
    await eventually(() => tries().length >= TRIES, `${TRIES} tries`);
    const busy = tries();
    const busySent = fleet.bodiesSent - busyBefore;
    const busyEarly = busy.filter(({ atMs }, at) => at > 0 && atMs < (busy[at - 1]?.nextRetryMs ?? 0)).length;
    say(`busy: sent ${busySent}, tried ${busy.length}, ${busyEarly} before their time`);

    // Nobody else was asked anything, kept its stream, and takes changes as ever.
    const quiet = same(calls, fleet.otherCalls()) && same(sessions, fleet.otherSessions());
    const others = fleet.clusters.filter((cluster) => cluster !== victim);
    for (const cluster of others) fleet.putBase(cluster, "a change for all others");
    for (const cluster of others) await fleet.healthy(cluster, "base", 2);
    const othersUnmoved = quiet && same(sessions, fleet.otherSessions());

    fleet.mend();
    const retryBefore = fleet.bodiesSent;
    const retried = await fleet.seamctl("retry", victim, "bad");
    await fleet.healthy(victim, "bad", poison.version);
    const healed = await fleet.seamctl("explain", victim, "bad");
    const nothingToRetry = await fleet.seamctl("retry", victim, "good");
    return {
      agents,
      ...poison,
      poisonSent,
      poisonTried,
      poisonSentAfterRetry: fleet.bodiesSent - retryBefore,
      poisonTriedAfterRetry: fleet.victimCalls("bad").filter((call) => call.startsWith("verify")).length - poisonTried,
      busyTried: busy.length,
      busySent,
      busyEarly,
      othersUnmoved,
      besideHealthy: (await fleet.level(victim, "good")).level === 4,
      explained,
      retried,
      healed,
      nothingToRetry,
    };
  } finally {
    await fleet.close();
  }
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, at) => text === b[at]);
}
