/** What a `conductor` process is for. */
export type ProcessRole = "management" | "tenant";

/**
 * Options of Node for the processes of each role; `src/bin/run.sh` gives the same. The young generation would grow to 16 MiB with the
 * first burst and keep it: 4 is enough for a hub, and costs a tenant's PermissionService a tenth of its calls. With 1 MiB and V8's
 * efficiency mode an agent is some 10 MiB smaller still, and answers half as many (docs/performance.md).
 */
export const PROCESS_OPTIONS: Readonly<Record<ProcessRole, readonly string[]>> = {
  management: ["--max-semi-space-size=4"],
  tenant: ["--max-semi-space-size=4"],
};
