import { rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { errorMessage } from "../../src/base/errors.ts";
import { SeededRandom, integerBetween } from "../../src/base/random.ts";
import { MeshProcess, until } from "../support/mesh-process.ts";
import { ChaosActions } from "./actions.ts";
import { auditFaults, differences, leftovers } from "./end-state.ts";
import { PackModel } from "./pack-model.ts";

/** Options of {@link runChaos}. */
export interface ChaosOptions {
  readonly directory: string;
  readonly seed: number;
  readonly kills: number;
  readonly tenants: number;
  readonly portOffset: number;
  /** Longest pause between two kills, milliseconds. */
  readonly pauseMs: number;
  /** Time the mesh has to come to rest at the end, milliseconds. */
  readonly settleMs: number;
  readonly print: (line: string) => void;
}

/** What a run did and found. */
export interface ChaosResult {
  readonly kills: ReadonlyMap<string, number>;
  readonly actions: ReadonlyMap<string, number>;
  readonly auditEvents: number;
  readonly settledMs: number;
  /** Empty when all is well. */
  readonly faults: readonly string[];
}

const SAMPLE_MS = 400;

/**
 * Kills management, tenants and `up` itself with SIGKILL at random times while people work, then compares the mesh at rest with a model:
 * nothing lost, nothing stuck, nothing twice, no term or index position down.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { print } = options;
  const random = new SeededRandom(options.seed);
  const mesh = new MeshProcess(options);
  const kills = new Map<string, number>();
  const monotone = new Monotone();
  const stop = new AbortController();
  const faults: string[] = [];
  const work = join(options.directory, "..", `chaos-work-${options.seed}`);
  const actions = new ChaosActions(mesh, new PackModel(), new SeededRandom(options.seed + 1), work);
  let settledMs = 0;
  try {
    mesh.start();
    await mesh.ready();
    const acting = repeat(stop.signal, async () => {
      await actions.act();
      await systemClock.sleep(integerBetween(random, 20, 300), stop.signal);
    }).catch((error: unknown) => {
      faults.push(`nobody could work any more: ${errorMessage(error)}`);
    });
    const sampling = repeat(stop.signal, async () => {
      await monotone.sample(mesh);
      await systemClock.sleep(SAMPLE_MS, stop.signal);
    });
    for (let kill = 1; kill <= options.kills; kill++) {
      await systemClock.sleep(integerBetween(random, 50, options.pauseMs));
      if (mesh.upPid === undefined) {
        faults.push(`up ended by itself: ${mesh.output.slice(-300).trim()}`);
        mesh.start();
      }
      const dice = random.next();
      const victim =
        dice < 0.1
          ? "up"
          : dice < 0.45
            ? "management"
            : (mesh.tenants[integerBetween(random, 0, mesh.tenants.length - 1)] ?? "management");
      kills.set(victim, (kills.get(victim) ?? 0) + 1);
      if (victim !== "up") {
        if (!mesh.signal(victim, "SIGKILL")) print(`${kill}: ${victim} was down already`);
        continue;
      }
      await mesh.killUp();
      print(`${kill}: up killed, started again`);
      mesh.start();
      await systemClock.sleep(300);
      if (mesh.upPid === undefined)
        throw new Error(`up did not start again after kill -9:\n${mesh.output.slice(-600)}`);
    }
    stop.abort();
    await Promise.all([acting, sampling]);
    const killed = systemClock.monotonic();
    let last = "";
    try {
      await until("the model's state", options.settleMs, async () => {
        if (mesh.upPid === undefined) throw new Error(`up has ended:\n${mesh.output.slice(-600)}`);
        const found = await differences(mesh, actions);
        const text = found.join("\n");
        if (text !== last && found.length > 0)
          print(`after ${seconds(killed)} s: ${found.length} differences, ${found[0]}`);
        last = text;
        return found.length === 0 ? undefined : text;
      });
      faults.push(...(await leftovers(mesh, actions)));
    } catch (error) {
      faults.push(String(error));
    }
    settledMs = systemClock.monotonic() - killed;
  } finally {
    stop.abort();
    await mesh.stop();
    rmSync(work, { recursive: true, force: true });
  }
  const audit = auditFaults(mesh);
  faults.push(...audit.faults, ...monotone.faults);
  return { kills, actions: actions.done, auditEvents: audit.events, settledMs, faults };
}

function seconds(since: number): string {
  return ((systemClock.monotonic() - since) / 1000).toFixed(1);
}

async function repeat(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** Watches numbers that must never go down. */
class Monotone {
  readonly faults: string[] = [];
  readonly #highest = new Map<string, bigint>();

  async sample(mesh: MeshProcess): Promise<void> {
    let agents: Awaited<ReturnType<MeshProcess["agents"]>>;
    try {
      agents = await mesh.agents();
    } catch {
      return; // the hub is down
    }
    for (const agent of agents) {
      if (agent.connected) this.#see(`term of ${agent.cluster}`, agent.term);
      for (const [what, state] of [
        ["desired", agent.desired],
        ["held", agent.held],
      ] as const)
        if (state !== undefined) this.#see(`${what} index of ${agent.cluster}`, (state.epoch << 32n) + state.sequence);
      this.#see(`stored audit of ${agent.cluster}`, agent.connected ? agent.auditStoredThrough : 0n, agent.connected);
    }
  }

  #see(what: string, value: bigint, counts = true): void {
    if (!counts) return;
    const before = this.#highest.get(what) ?? 0n;
    if (value < before) this.faults.push(`${what} went from ${before} down to ${value}`);
    else this.#highest.set(what, value);
  }
}
