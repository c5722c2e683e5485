import type { Command } from "commander";
import { errorMessage } from "../../../base/errors.ts";
import { startMesh } from "../../../roles/mesh/mesh.ts";
import { MAX_HUB_REPLICAS, MAX_TENANTS } from "../../../roles/mesh/ports.ts";
import { agentProgram } from "../agent-program.ts";
import { type CommandContext, UsageError } from "../context.ts";
import { Screen } from "../screen.ts";
import {
  kubeconfigsOf,
  managementKubeconfigOption,
  simulateNodesOption,
  tenantKubeconfigOption,
} from "./external-clusters.ts";

/** How often the screen is renewed, milliseconds. */
const REFRESH_MS = 500;
const DEFAULT_TIMEOUT_SECONDS = 120;
const MAX_PORT_OFFSET = 15_000;

/** Flags of `up`. */
export interface UpOptions {
  readonly dir: string;
  readonly tenants: number;
  readonly portOffset: number;
  readonly hubReplicas: number;
  readonly auditSinkUrl?: string;
  readonly managementKubeconfig?: string;
  readonly tenantKubeconfig: readonly string[];
  readonly simulateNodes?: boolean;
  readonly example: boolean;
  readonly exitWhenReady?: boolean;
  readonly timeout: number;
}

/** An integer flag in a range. @throws UsageError */
export function integerFlag(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new UsageError(`${name} must be an integer from ${min} to ${max}, found ${JSON.stringify(text)}`);
  };
}

/** `seamctl up`: a whole mesh on this machine. */
export function upCommand(program: Command, context: CommandContext): void {
  program
    .command("up")
    .description("run a whole mesh on this machine: a hub and its tenants, each with its own embedded cluster")
    .option("--dir <directory>", "state directory", ".seam")
    .option("--tenants <n>", `number of tenants, 1 to ${MAX_TENANTS}`, integerFlag("--tenants", 1, MAX_TENANTS), 3)
    .option("--port-offset <n>", "shift every port by this", integerFlag("--port-offset", 0, MAX_PORT_OFFSET), 0)
    .option(
      "--hub-replicas <n>",
      `number of hub replicas, each a process of its own, 1 to ${MAX_HUB_REPLICAS}; several need --audit-sink-url`,
      integerFlag("--hub-replicas", 1, MAX_HUB_REPLICAS),
      1,
    )
    .option("--audit-sink-url <url>", "keep the audit log in this PostgreSQL: postgres://USER@HOST/DATABASE")
    .addOption(managementKubeconfigOption())
    .addOption(tenantKubeconfigOption())
    .addOption(simulateNodesOption())
    .option("--no-example", "start without the example pack and permissions")
    .option("--exit-when-ready", "print the summary and stop everything as soon as the mesh is ready")
    .option(
      "--timeout <seconds>",
      "with --exit-when-ready: give up after this",
      integerFlag("--timeout", 1, 3600),
      DEFAULT_TIMEOUT_SECONDS,
    )
    .addHelpText(
      "after",
      "\nExamples:\n  seamctl up\n  seamctl up --tenants 10 --dir /tmp/ten --port-offset 100\n  seamctl up --hub-replicas 3 --audit-sink-url 'postgres://seam@localhost/audit?sslmode=disable'\n  seamctl up --management-kubeconfig ~/mgmt.yaml --tenant-kubeconfig ~/edge-1.yaml\n  seamctl up --exit-when-ready --timeout 60\n\nExit code: 0 after Ctrl-C or when ready, 1 when not ready in time or when the mesh cannot start.",
    )
    .action((options: UpOptions) => runUp(options, context));
}

async function runUp(options: UpOptions, context: CommandContext): Promise<void> {
  const { clock, output } = context;
  if (options.hubReplicas > 1 && options.auditSinkUrl === undefined)
    throw new UsageError(
      "--hub-replicas: several replicas need one audit log, and SQLite serves one replica; name a PostgreSQL with --audit-sink-url",
    );
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const screen = new Screen(output, options.dir);
  const started = clock.monotonic();
  const mesh = await startMesh({
    directory: options.dir,
    tenants: options.tenants,
    portOffset: options.portOffset,
    hubReplicas: options.hubReplicas,
    ...(options.auditSinkUrl === undefined ? {} : { auditSinkUrl: options.auditSinkUrl }),
    kubeconfigs: kubeconfigsOf(options, options.tenants),
    simulateNodes: options.simulateNodes === true,
    example: options.example,
    program: agentProgram(context.env),
    clock,
    random: context.random,
    signal,
    onEvent: (event) => screen.event(event),
  });
  let failure: unknown;
  let ready = false;
  const closed = mesh.closed.catch((error: unknown) => {
    failure = error;
    stop.abort(new Error("the mesh failed"));
  });
  while (!signal.aborted) {
    const status = await mesh.status();
    if (signal.aborted) break;
    const seconds = (clock.monotonic() - started) / 1000;
    screen.update(mesh, status, clock.now(), `${seconds.toFixed(1)} s`);
    if (options.exitWhenReady === true && status.readiness.ready) {
      ready = true;
      output.out("stopping, as --exit-when-ready says");
      stop.abort(new Error("ready"));
      break;
    }
    if (options.exitWhenReady === true && seconds > options.timeout) {
      output.err(`seamctl: not ready after ${options.timeout} s: ${status.readiness.waitingFor.join("; ")}`);
      output.err(`the logs are in ${mesh.layout.logs}`);
      stop.abort(new Error("timeout"));
      break;
    }
    try {
      await clock.sleep(REFRESH_MS, signal);
    } catch {
      break; // stopped while waiting
    }
  }
  const stopping = clock.monotonic();
  await closed;
  // Also when it was interrupted: a script that waits for a mesh did not get one.
  if (options.exitWhenReady === true && !ready) context.finish("no");
  if (failure !== undefined) {
    output.err(`seamctl: ${errorMessage(failure)}`);
    context.finish("no");
    return;
  }
  output.out(
    `stopped in ${((clock.monotonic() - stopping) / 1000).toFixed(1)} s; state is kept in ${mesh.layout.root}`,
  );
}
