import { readFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { pino } from "pino";
import { rfc3339, systemClock } from "../base/clock.ts";
import { errorMessage } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { startAgent } from "../roles/agent.ts";
import { type Environment, RoleViolation } from "../roles/environment.ts";
import { LogDestination } from "./log-destination.ts";

/** Exit codes of `conductor` (conductor §1.2). */
const EXIT = { ok: 0, failed: 1, invariant: 2 } as const;

/** Time after the end of the program in which open handles may still close by themselves. */
const EXIT_GRACE_MS = 2_000;

const USAGE =
  "usage: conductor agent [--cluster-ref NAME]\nThe role comes from CONDUCTOR_ROLE; every other variable is in docs/configuration.md.";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

/** Runs the program to its end and sets the exit code of the process. */
export async function runConductor(args: readonly string[]): Promise<void> {
  process.exitCode = await main(args);
  // What a role left open after a failed start must not keep a process alive that does nothing: its supervisor would wait for ever.
  setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
}

async function main(args: readonly string[]): Promise<number> {
  const [subcommand, ...rest] = args;
  try {
    if (subcommand === "compile")
      throw new RoleViolation("compile belongs to the compiler, never to the runtime (INV-023a)");
    if (subcommand !== "agent") {
      process.stderr.write(`${USAGE}\n`);
      return EXIT.failed;
    }
    return await agent(rest);
  } catch (error) {
    if (error instanceof RoleViolation) {
      const line = { category: "InvariantViolation", reason: error.message, timestamp: rfc3339(systemClock.now()) };
      process.stderr.write(`${JSON.stringify(line)}\n`);
      return EXIT.invariant;
    }
    process.stderr.write(`conductor: ${errorMessage(error)}\n`);
    return EXIT.failed;
  }
}

async function agent(args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  // Started by `seamctl up`: when the supervisor is gone, so is the reason to run.
  process.on("disconnect", () => stop.abort(new Error("the supervisor is gone")));
  const flag = args.indexOf("--cluster-ref");
  const fallback = flag < 0 ? undefined : args[flag + 1];
  const env: Environment = { ...process.env, CLUSTER_REF: process.env["CLUSTER_REF"] ?? fallback };
  const log = pino(
    {
      base: { component: "conductor", cluster: env["CLUSTER_REF"], role: env["CONDUCTOR_ROLE"] },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    new LogDestination(),
  );
  try {
    const running = await startAgent({
      env,
      version,
      clock: systemClock,
      random: systemRandom,
      log,
      signal: stop.signal,
    });
    // A process that is killed writes nothing at its end: what was compiled is kept now, for a quicker start.
    flushCompileCache();
    await running.closed;
    log.info({ reason: errorMessage(stop.signal.reason) }, "stopped");
  } finally {
    stop.abort(new Error("the agent ended"));
    if (process.connected) process.disconnect(); // the channel alone would keep the process
  }
  return EXIT.ok;
}
