import type { ChildEvent } from "../../roles/mesh/child.ts";
import type { Mesh, MeshStatus } from "../../roles/mesh/mesh.ts";
import { agentColumns } from "./commands/agents.ts";
import { receiptColumns } from "./commands/receipts.ts";
import { renderTable } from "./table.ts";
import { typed } from "./typed-command.ts";

/** `3 tenants`, `1 tenant`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** One line for a process event, as a tired operator reads it; undefined for what needs no line. */
export function eventText(event: ChildEvent, directory: string): string | undefined {
  switch (event.type) {
    case "started":
      return event.restarts === 0
        ? `${event.name} started, pid ${event.pid}`
        : `${event.name} started again, pid ${event.pid} (restart ${event.restarts})`;
    case "exited":
      return `${event.name} ended (${event.how}); starting it again in ${event.restartInMs} ms`;
    case "held":
      return `${event.name} is held down; start it with: ${typed(`process release ${event.name}`, directory)}`;
    case "stopped":
      return undefined;
  }
}

/** What to try next, with real names and ports of this mesh. */
export function nextCommands(mesh: Mesh, directory: string): readonly string[] {
  const first = mesh.tenantNames[0] ?? "tenant-1";
  const second = mesh.tenantNames[1] ?? first;
  return [
    typed("agents", directory),
    typed(`explain ${first} hello`, directory),
    typed("can-i get pods -n hello --as system:serviceaccount:hello:hello", directory),
    `kubectl --kubeconfig ${directory}/kubeconfig --context ${second} -n hello delete deployment hello`,
    `${typed("drift --all", directory)}   # and see it come back`,
    typed("pack publish examples/packs/hello/v2 --name hello --version v2.0.0 --to all", directory),
    `open ${mesh.settings.ops}/   # status page`,
  ];
}

/** First line of everything `up` shows. */
export function headText(mesh: Mesh, directory: string): string {
  const { hubReplicas } = mesh.settings;
  const hub = hubReplicas.length === 0 ? "" : `, ${counted(hubReplicas.length, "hub replica")}`;
  return `Seam mesh in ${directory}: 1 management cluster and ${counted(mesh.tenantNames.length, "tenant")}${hub}, nodes simulated`;
}

/** Says which registered clusters this `up` leaves down, and the flag that starts them; undefined when there are none. */
export function notStartedText(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const numbers = names.map((name) => Number(/^tenant-(\d+)$/.exec(name)?.[1] ?? 0));
  const shown = names.length > 5 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
  return `registered earlier and not started now: ${shown}; start with --tenants ${Math.max(...numbers)}`;
}

/** Table of agents, at most `limit`, those that somebody waits for first. */
export function agentLines(status: MeshStatus, nowMs: number, limit: number, directory: string): readonly string[] {
  const awaited = (cluster: string): boolean =>
    status.readiness.waitingFor.some((text) => text.startsWith(`${cluster} `));
  const agents = [...status.agents].sort((a, b) => Number(awaited(b.cluster)) - Number(awaited(a.cluster)));
  const table = renderTable(agentColumns(nowMs), agents.length > limit ? agents.slice(0, limit) : status.agents);
  return [...table.split("\n"), ...moreLine(agents.length - limit, typed("agents", directory))];
}

/** Table of receipts, at most `limit`; nothing while there are none. */
export function receiptLines(status: MeshStatus, nowMs: number, limit: number, directory: string): readonly string[] {
  const { receipts } = status;
  if (receipts.length === 0) return [];
  const table = renderTable(receiptColumns(nowMs), receipts.slice(0, limit));
  return [...table.split("\n"), ...moreLine(receipts.length - limit, typed("receipts", directory))];
}

function moreLine(more: number, command: string): readonly string[] {
  return more > 0 ? [`… and ${more} more: ${command}`] : [];
}

/** Everything `up` says once it is ready. */
export function summaryText(mesh: Mesh, status: MeshStatus, directory: string, nowMs: number): string {
  const everything = Number.POSITIVE_INFINITY;
  const receipts = receiptLines(status, nowMs, everything, directory);
  const notStarted = notStartedText(status.notStarted);
  return [
    headText(mesh, directory),
    ...(notStarted === undefined ? [] : [notStarted]),
    "",
    ...agentLines(status, nowMs, everything, directory),
    ...(receipts.length > 0 ? ["", ...receipts] : []),
    "",
    "Try next:",
    ...nextCommands(mesh, directory).map((command) => `  ${command}`),
  ].join("\n");
}
