import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { lockDirectory } from "../mesh/directory-lock.ts";
import { MeshLayout } from "../mesh/layout.ts";
import { type Mesh, startMesh } from "../mesh/mesh.ts";
import type { AgentProgram } from "../mesh/supervisor.ts";
import { TourGuide } from "./guide.ts";
import { tourSteps } from "./steps.ts";

/** Tenants of the tour. */
export const TOUR_TENANTS = 3;

/** What the tour needs. */
export interface TourOptions {
  /** Emptied first when it is a state directory of seamctl. */
  readonly directory: string;
  readonly portOffset: number;
  /** Kubeconfigs of clusters that have an API server of their own. */
  readonly kubeconfigs: ReadonlyMap<string, string>;
  readonly simulateNodes: boolean;
  readonly program: AgentProgram;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly print: (text: string) => void;
}

/** Walks through a fresh mesh. Resolves with whether every step succeeded; stops everything it started either way. */
export async function runTour(options: TourOptions): Promise<boolean> {
  const { clock, print } = options;
  emptyDirectory(options.directory);
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const began = clock.monotonic();
  const mesh = await startMesh({
    hubReplicas: 1,
    directory: options.directory,
    tenants: TOUR_TENANTS,
    portOffset: options.portOffset,
    kubeconfigs: options.kubeconfigs,
    simulateNodes: options.simulateNodes,
    example: true,
    program: options.program,
    clock,
    random: options.random,
    signal,
    onEvent: () => undefined,
  });
  const results: { readonly title: string; readonly ms: number; readonly ok: boolean }[] = [];
  try {
    const guide = new TourGuide(mesh, options, signal);
    for (const [at, step] of tourSteps(guide).entries()) {
      print(`\n${at + 1}. ${step.title}`);
      for (const command of step.commands) print(`   $ ${command}`);
      const started = clock.monotonic();
      let failure: string | undefined;
      try {
        for (const line of await step.run()) print(`   ${line}`);
      } catch (error) {
        failure = errorMessage(error);
      }
      const ms = clock.monotonic() - started;
      results.push({ title: step.title, ms, ok: failure === undefined });
      print(failure === undefined ? `   ok, ${seconds(ms)}` : `   FAILED after ${seconds(ms)}: ${failure}`);
      if (failure !== undefined) break;
    }
    await guide.close();
  } finally {
    stop.abort(new Error("the tour is over"));
    await endOf(mesh, print);
  }
  const passed = results.every((result) => result.ok) && !options.signal.aborted;
  print("");
  for (const [at, result] of results.entries()) {
    print(`${result.ok ? "ok    " : "FAILED"} ${seconds(result.ms).padStart(7)}  ${at + 1}. ${result.title}`);
  }
  print(`${passed ? "tour complete" : "tour FAILED"} in ${seconds(clock.monotonic() - began)}`);
  if (!passed) print(`the logs are in ${mesh.layout.logs}`);
  return passed;
}

async function endOf(mesh: Mesh, print: (text: string) => void): Promise<void> {
  try {
    await mesh.closed;
  } catch (error) {
    print(`   the mesh failed: ${errorMessage(error)}`);
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Empties a state directory. @throws SeamError `TourDirectory` for a directory that seamctl did not make, `StateDirectoryBusy` for one in use */
function emptyDirectory(directory: string): void {
  if (!existsSync(directory)) return;
  if (!existsSync(join(directory, "version"))) {
    throw new SeamError({
      reason: "TourDirectory",
      object: `directory ${directory}`,
      expected: "would be emptied, but it is no state directory of seamctl",
      remedy: "name another with --dir",
    });
  }
  lockDirectory(new MeshLayout(directory).lockFile, process.pid).release(); // refused while a mesh uses it
  rmSync(directory, { recursive: true, force: true });
}
