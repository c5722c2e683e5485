import type { Command } from "commander";
import { TOUR_TENANTS, runTour } from "../../../roles/tour/tour.ts";
import { agentProgram } from "../agent-program.ts";
import type { CommandContext } from "../context.ts";
import {
  type ExternalClusterOptions,
  kubeconfigsOf,
  managementKubeconfigOption,
  simulateNodesOption,
  tenantKubeconfigOption,
} from "./external-clusters.ts";
import { integerFlag } from "./up.ts";

interface TourFlags extends ExternalClusterOptions {
  readonly dir: string;
  readonly portOffset: number;
  readonly simulateNodes?: boolean;
}

/** `seamctl tour`: `up` and a scripted walk. */
export function tourCommand(program: Command, context: CommandContext): void {
  program
    .command("tour")
    .description(
      "start a fresh mesh and walk through it: deliver, drift, heal, ask, break and recover; each step with the command to type",
    )
    .option("--dir <directory>", "state directory of the tour, emptied first", ".seam-tour")
    .option("--port-offset <n>", "shift every port by this", integerFlag("--port-offset", 0, 15_000), 0)
    .addOption(managementKubeconfigOption())
    .addOption(tenantKubeconfigOption())
    .addOption(simulateNodesOption())
    .addHelpText("after", "\nExample:\n  npm run tour\n\nExit code: 0 when every step succeeded, 1 otherwise.")
    .action(async (options: TourFlags) => {
      const passed = await runTour({
        directory: options.dir,
        portOffset: options.portOffset,
        kubeconfigs: kubeconfigsOf(options, TOUR_TENANTS),
        simulateNodes: options.simulateNodes === true,
        program: agentProgram(context.env),
        clock: context.clock,
        random: context.random,
        signal: context.signal,
        print: (text) => context.output.out(text),
      });
      context.finish(passed ? "yes" : "no");
    });
}
