import {
  type ClusterOutcome,
  type ObjectOutcome,
  type Simulation,
  isRefused,
} from "../../governance/simulation/simulate.ts";
import { type ContentChanges, isUnchanged } from "../../permissions/reach/compare-content.ts";
import { placeText } from "../../permissions/reach/compare-reach.ts";
import { subjectText } from "../../permissions/reach/subject-reach.ts";
import type { Proposal } from "./proposal.ts";
import { type Column, renderTable } from "./table.ts";

/** One changed right, as a row. */
export interface ChangeRow {
  readonly cluster: string;
  readonly subject: string;
  readonly change: string;
  readonly where: string;
  readonly what: string;
}

/** Rows of a table that shows changed rights. */
export const CHANGE_COLUMNS: readonly Column<ChangeRow>[] = [
  { header: "cluster", value: (row) => row.cluster },
  { header: "who", value: (row) => row.subject },
  { header: "change", value: (row) => row.change },
  { header: "where", value: (row) => row.where },
  { header: "what", value: (row) => row.what },
];

/** Changed rights of one cluster, one row per rule. */
export function changeRows(cluster: string, { subjects, suspended, resumed }: ContentChanges): readonly ChangeRow[] {
  const principals = (list: readonly string[], change: string): readonly ChangeRow[] =>
    list.map((subject) => ({ cluster, subject, change, where: "everywhere", what: "everything" }));
  return [
    ...principals(suspended, "suspended"),
    ...principals(resumed, "resumed"),
    ...subjects.flatMap(({ subject, change, when, rules, more, ...place }) => {
      const common = {
        cluster,
        subject: subjectText(subject),
        change: when === "now" ? change : `${change} at the ${when}`,
        where: placeText(place),
      };
      const told = rules.map((what) => ({ ...common, what }));
      return more > 0 ? [...told, { ...common, what: `and ${more} more` }] : told;
    }),
  ];
}

function verdictText({ change, before, after }: ObjectOutcome): string {
  if (change === "removed") return "-";
  if (after === undefined) return "-";
  const was = before !== undefined && before.reason !== after.reason ? ` (was ${before.reason})` : "";
  return `${isRefused(after) ? "refused: " : ""}${after.reason}${was}`;
}

function objectsText(objects: readonly ObjectOutcome[], refused: Proposal["refused"]): string {
  const rows = [
    ...refused.map(({ object }) => ({ object, change: "refused", verdict: "refused by the API server" })),
    ...objects.map((outcome) => ({ object: outcome.object, change: outcome.change, verdict: verdictText(outcome) })),
  ];
  const table = renderTable(
    [
      { header: "object", value: (row: (typeof rows)[number]) => row.object },
      { header: "change", value: (row) => row.change },
      { header: "verdict", value: (row) => row.verdict },
    ],
    rows,
  );
  const notes = [
    ...refused.map(({ object, at, message }) => `${object} (${at}): ${message}`),
    ...objects.flatMap(({ object, after }) =>
      after === undefined || (!isRefused(after) && !NOTABLE.has(after.reason))
        ? []
        : [`${object}: ${after.reason}: ${after.message}`],
    ),
    ...objects.flatMap(({ object, change, after }) =>
      change === "affected" ? [] : (after?.warnings ?? []).map((warning) => `${object}: warning: ${warning}`),
    ),
  ];
  return [table, ...(notes.length > 0 ? ["", ...notes] : [])].join("\n");
}

/** Reasons of objects that hold, whose message people want to read. */
const NOTABLE: ReadonlySet<string> = new Set(["TrimmedInAudit", "CeilingExceeded"]);

function clusterSummary(clusters: readonly ClusterOutcome[], total: number): string {
  const touched = clusters.filter(({ decisions }) => !isUnchanged(decisions));
  const who = (change: "gains" | "loses"): number =>
    new Set(
      touched.flatMap(({ cluster, decisions }) =>
        decisions.subjects
          .filter((each) => each.change === change)
          .map(({ subject }) => `${cluster} ${subjectText(subject)}`),
      ),
    ).size;
  const quiet = clusters.length - touched.length;
  const of = `of ${total} ${total === 1 ? "cluster" : "clusters"}`;
  return [
    touched.length === 0
      ? `no decision changes on any ${of}`
      : `decisions change on ${touched.length} ${of}: ${who("gains")} gain, ${who("loses")} lose`,
    ...(quiet > 0 ? [`on ${quiet} only records of the snapshot change`] : []),
  ].join("; ");
}

/** A simulation for people: objects with their verdicts, then every right that somebody gains or loses, then one line of sums. */
export function simulationText(simulation: Simulation, { refused }: Pick<Proposal, "refused">): string {
  const { objects, clusters, clustersTotal } = simulation;
  const parts: string[] = [];
  if (objects.length + refused.length > 0) parts.push(objectsText(objects, refused));
  const rows = clusters.flatMap(({ cluster, decisions }) => changeRows(cluster, decisions));
  if (rows.length > 0) parts.push(renderTable(CHANGE_COLUMNS, rows));
  parts.push(clusterSummary(clusters, clustersTotal));
  return parts.join("\n\n");
}
