/** What a `conductor` process is for. */
export type ProcessRole = "management" | "tenant";

/**
 * Options of Node for the processes of each role; `src/bin/run.sh` gives the same. The young generation would grow to 16 MiB with the
 * first burst and keep it: a hub needs no more than 4 for the same processor time, and an agent, which waits most of the time, 1.
 * Efficiency mode puts off the optimizing compiler until a function is really hot.
 */
export const PROCESS_OPTIONS: Readonly<Record<ProcessRole, readonly string[]>> = {
  management: ["--max-semi-space-size=4"],
  tenant: ["--max-semi-space-size=1", "--efficiency-mode"],
};
