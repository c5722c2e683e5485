import type { ChildEvent } from "../../roles/mesh/child.ts";
import type { Mesh, MeshStatus } from "../../roles/mesh/mesh.ts";
import { agentColumns } from "./commands/agents.ts";
import { receiptColumns } from "./commands/receipts.ts";
import type { Output } from "./output.ts";
import { renderTable } from "./table.ts";

/** Most recent process events shown under the live table. */
const SHOWN_EVENTS = 5;

/** One line for a process event, as a tired operator reads it; undefined for what needs no line. */
export function eventText(event: ChildEvent): string | undefined {
  switch (event.type) {
    case "started":
      return event.restarts === 0
        ? `${event.name} started, pid ${event.pid}`
        : `${event.name} started again, pid ${event.pid} (restart ${event.restarts})`;
    case "exited":
      return `${event.name} ended (${event.how}); starting it again in ${event.restartInMs} ms`;
    case "held":
      return `${event.name} is held down; start it with: npx seamctl process release ${event.name}`;
    case "stopped":
      return undefined;
  }
}

/** What to try next, with real names and ports of this mesh. */
export function nextCommands(mesh: Mesh, directory: string): readonly string[] {
  const dir = directory === ".seam" ? "" : ` --dir ${directory}`;
  const first = mesh.tenantNames[0] ?? "tenant-1";
  const second = mesh.tenantNames[1] ?? first;
  return [
    `npx seamctl agents${dir}`,
    `npx seamctl explain ${first} hello${dir}`,
    `npx seamctl can-i delete pods -n hello --as system:serviceaccount:hello:hello --cluster ${first} --explain${dir}`,
    `kubectl --kubeconfig ${mesh.layout.kubeconfig} --context ${second} -n hello delete deployment hello   # then: npx seamctl drift${dir}`,
    `npx seamctl pack publish examples/packs/hello/v2 --name hello --version v2.0.0 --to all${dir}`,
    `open ${mesh.settings.ops}/   # status page`,
  ];
}

/** The fleet as text: tables of agents and receipts. */
export function fleetText(status: MeshStatus, nowMs: number): string {
  const parts = [renderTable(agentColumns(nowMs), status.agents)];
  if (status.receipts.length > 0) parts.push("", renderTable(receiptColumns(nowMs), status.receipts));
  return parts.join("\n");
}

/** Everything `up` shows at rest. */
export function summaryText(mesh: Mesh, status: MeshStatus, directory: string, nowMs: number): string {
  const running = status.processes.filter((process) => process.phase === "running").length;
  return [
    `Seam mesh in ${mesh.layout.root}: 1 management cluster, ${mesh.tenantNames.length} tenant(s), ${running} of ${status.processes.length} processes running, nodes simulated`,
    "",
    fleetText(status, nowMs),
    "",
    "Try next:",
    ...nextCommands(mesh, directory).map((command) => `  ${command}`),
  ].join("\n");
}

/** Shows a mesh while it runs: a live table on a terminal, plain lines elsewhere. */
export class Screen {
  readonly #output: Output;
  readonly #directory: string;
  #events: string[] = [];
  #lines = 0;
  #lastPlain = "";

  constructor(output: Output, directory: string) {
    this.#output = output;
    this.#directory = directory;
  }

  event(event: ChildEvent): void {
    const text = eventText(event);
    if (text === undefined) return;
    if (this.#output.isTerminal) this.#events = [...this.#events, text].slice(-SHOWN_EVENTS);
    else this.#output.out(text);
  }

  update(mesh: Mesh, status: MeshStatus, nowMs: number): void {
    if (this.#output.isTerminal) this.#redraw(mesh, status, nowMs);
    else this.#plain(status);
  }

  /** Leaves the last picture on the screen and goes on below it. */
  close(): void {
    this.#lines = 0;
  }

  #redraw(mesh: Mesh, status: MeshStatus, nowMs: number): void {
    const body = [summaryText(mesh, status, this.#directory, nowMs), ""];
    if (!status.readiness.ready)
      body.push(...status.readiness.waitingFor.slice(0, SHOWN_EVENTS).map((text) => `waiting: ${text}`));
    body.push(...this.#events, "Ctrl-C stops everything; starting again goes on from here.");
    const text = body.join("\n");
    const width = process.stdout.columns || 120;
    const lines = text.split("\n").map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
    const up = this.#lines > 0 ? `\u001b[${this.#lines}A\u001b[0J` : "";
    this.#output.out(up + lines.join("\n"));
    this.#lines = lines.length;
  }

  #plain(status: MeshStatus): void {
    const text = status.readiness.ready ? "ready" : `waiting: ${status.readiness.waitingFor.join("; ")}`;
    if (text === this.#lastPlain) return;
    this.#lastPlain = text;
    this.#output.out(text);
  }
}
