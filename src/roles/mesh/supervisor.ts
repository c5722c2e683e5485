import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { Child, type ChildEvent, type ChildSpec } from "./child.ts";
import {
  type MeshPlan,
  MANAGEMENT,
  managementEnvironment,
  replicaEnvironment,
  tenantEnvironment,
} from "./process-environment.ts";
import { hubReplicaNames } from "./ports.ts";
import { PROCESS_OPTIONS, type ProcessRole } from "../process-options.ts";

/** State of one process, for the screen. */
export interface ProcessState {
  readonly name: string;
  readonly phase: "starting" | "running" | "restarting" | "held" | "stopped";
  readonly pid: number | undefined;
  readonly restarts: number;
  /** How the last run ended; empty for the first. */
  readonly lastExit: string;
}

/** The processes of a mesh. */
export interface Supervisor {
  states(): readonly ProcessState[];
  /** Sends a signal to a process; false when it does not run. */
  kill(name: string, signal: NodeJS.Signals): boolean;
  /** Resolves when every process has ended after the signal aborted. */
  readonly closed: Promise<void>;
}

/** Program of every process: the same `conductor agent` that production runs. */
export interface AgentProgram {
  /** Node: each process gets the options of its role before `args`. */
  readonly command: string;
  readonly args: readonly string[];
  /** Variables of the parent that the children keep: where programs are found, nothing else. */
  readonly inherit: Readonly<Record<string, string>>;
}

/** Starts management and every tenant, each its own process, and keeps them running until `signal` aborts. */
export function startSupervisor(
  plan: MeshPlan,
  program: AgentProgram,
  parts: {
    readonly clock: Clock;
    readonly random: Random;
    readonly signal: AbortSignal;
    readonly onEvent: (event: ChildEvent) => void;
  },
): Supervisor {
  const { layout } = plan;
  const states = new Map<string, ProcessState>();
  const onEvent = (event: ChildEvent): void => {
    const before = states.get(event.name);
    if (before !== undefined) states.set(event.name, nextState(before, event));
    parts.onEvent(event);
  };
  const spec = (name: string, role: ProcessRole, env: Record<string, string>): ChildSpec => ({
    name,
    command: program.command,
    args: [...PROCESS_OPTIONS[role], ...program.args],
    env: { ...program.inherit, ...env },
    logFile: layout.log(name),
    pidFile: layout.pid(name),
    holdFile: layout.hold(name),
  });
  const specs = [
    // Several replicas on an API server of its own leave the management process nothing to do.
    ...(plan.hubReplicas > 1 && plan.external.has(MANAGEMENT)
      ? []
      : [spec(MANAGEMENT, "management", managementEnvironment(plan))]),
    ...hubReplicaNames(plan.hubReplicas).map((name, at) => spec(name, "management", replicaEnvironment(plan, at + 1))),
    ...plan.tenants.map((name, at) => spec(name, "tenant", tenantEnvironment(plan, name, at + 1))),
  ];
  const children = new Map<string, Child>();
  for (const each of specs) {
    states.set(each.name, { name: each.name, phase: "starting", pid: undefined, restarts: 0, lastExit: "" });
    children.set(each.name, new Child(each, { clock: parts.clock, random: parts.random, onEvent }));
  }
  const runs = [...children.values()].map((child) => child.run(parts.signal));
  return {
    states: () => [...states.values()],
    kill: (name, signal) => children.get(name)?.kill(signal) ?? false,
    closed: Promise.all(runs).then(() => undefined),
  };
}

function nextState(before: ProcessState, event: ChildEvent): ProcessState {
  switch (event.type) {
    case "started":
      return { ...before, phase: "running", pid: event.pid, restarts: event.restarts };
    case "exited":
      return { ...before, phase: "restarting", pid: undefined, lastExit: event.how };
    case "held":
      return { ...before, phase: "held", pid: undefined };
    case "stopped":
      return { ...before, phase: "stopped", pid: undefined };
  }
}
