import type { ChildEvent } from "../../roles/mesh/child.ts";
import type { Mesh, MeshStatus } from "../../roles/mesh/mesh.ts";
import {
  agentLines,
  eventText,
  headText,
  nextCommands,
  notStartedText,
  receiptLines,
  summaryText,
} from "./fleet-text.ts";
import { type Line, LiveRegion, fit } from "./live-region.ts";
import type { Output } from "./output.ts";
import { age } from "./table.ts";

/** Most recent process events shown under the live table. */
const SHOWN_EVENTS = 5;
/** Reasons to wait that are shown at a time. */
const SHOWN_REASONS = 4;
/** Rows of the live picture that are not rows of a table; the rest is for the two tables. */
const OTHER_ROWS = 20;
const MIN_TABLE_ROWS = 3;
const FOOT = "Ctrl-C stops everything; starting again goes on from here.";

/** Shows a mesh while it runs: a live table on a terminal, plain lines elsewhere. */
export class Screen {
  readonly #output: Output;
  readonly #directory: string;
  readonly #region = new LiveRegion();
  #events: string[] = [];
  #readyAfter: string | undefined;
  /** What the hub said last, for while it does not answer. */
  #known: { readonly status: MeshStatus; readonly atMs: number } | undefined;
  #lastPlain = "";

  constructor(output: Output, directory: string) {
    this.#output = output;
    this.#directory = directory;
  }

  event(event: ChildEvent): void {
    const text = eventText(event, this.#directory);
    if (text === undefined) return;
    if (this.#output.isTerminal) this.#events = [...this.#events, text].slice(-SHOWN_EVENTS);
    else this.#output.out(text);
  }

  /** Shows a look at the mesh. `elapsed` is the time since the start, as people say it. */
  update(mesh: Mesh, status: MeshStatus, nowMs: number, elapsed: string): void {
    if (status.hubError === "") this.#known = { status, atMs: nowMs };
    const first = status.readiness.ready && this.#readyAfter === undefined;
    if (first) this.#readyAfter = elapsed;
    if (this.#output.isTerminal) this.#redraw(mesh, status, nowMs);
    else this.#plain(mesh, status, nowMs, first);
  }

  #redraw(mesh: Mesh, status: MeshStatus, nowMs: number): void {
    const size = this.#output.size();
    const shown = status.hubError === "" ? status : { ...status, ...knownFleet(this.#known?.status) };
    const limit = Math.max(MIN_TABLE_ROWS, Math.floor((size.rows - OTHER_ROWS) / 2));
    const cutLines = (texts: readonly string[]): Line[] => texts.map((text) => ({ text }));
    const commands: Line[] = nextCommands(mesh, this.#directory).map((text) => ({ text: `  ${text}`, wraps: true }));
    const notStarted = notStartedText(shown.notStarted);
    const sections = [
      cutLines([
        headText(mesh, this.#directory),
        ...this.#stateLines(status, nowMs),
        ...(notStarted === undefined ? [] : [notStarted]),
      ]),
      shown.agents.length === 0 ? [] : cutLines(agentLines(shown, nowMs, limit, this.#directory)),
      cutLines(receiptLines(shown, nowMs, limit, this.#directory)),
      this.#readyAfter === undefined ? [] : [{ text: "Try next:" }, ...commands],
      cutLines(this.#events),
      cutLines([FOOT]),
    ];
    const text = this.#region.draw(fit(sections, [4, 2, 3], size), size);
    if (text !== "") this.#output.raw(text);
  }

  #stateLines(status: MeshStatus, nowMs: number): readonly string[] {
    const { ready, waitingFor } = status.readiness;
    if (ready) return [`ready, ${this.#readyAfter ?? ""} after the start`];
    const lines = waitingFor.slice(0, SHOWN_REASONS).map((text) => `waiting: ${text}`);
    if (waitingFor.length > SHOWN_REASONS) lines.push(`waiting: … and ${waitingFor.length - SHOWN_REASONS} more`);
    if (status.hubError !== "" && this.#known !== undefined)
      lines.push(`the tables show what the hub said ${age(nowMs - this.#known.atMs)} ago`);
    return lines;
  }

  #plain(mesh: Mesh, status: MeshStatus, nowMs: number, first: boolean): void {
    const text = status.readiness.ready ? "ready" : `waiting: ${status.readiness.waitingFor.join("; ")}`;
    if (text === this.#lastPlain) return;
    this.#lastPlain = text;
    if (!first) {
      this.#output.out(status.readiness.ready ? "ready again" : text);
      return;
    }
    this.#output.out(`\n${summaryText(mesh, status, this.#directory, nowMs)}\n`);
    this.#output.out(`ready in ${this.#readyAfter ?? ""}`);
  }
}

function knownFleet(status: MeshStatus | undefined): Partial<MeshStatus> {
  if (status === undefined) return {};
  return { agents: status.agents, receipts: status.receipts, notStarted: status.notStarted };
}
