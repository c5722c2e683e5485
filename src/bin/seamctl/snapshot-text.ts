import { findCondition } from "../../api/conditions.ts";
import type { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { ruleText } from "../../permissions/algebra/covers.ts";
import { placeText } from "../../permissions/reach/compare-reach.ts";
import { isSuspended, rulesById, subjectText } from "../../permissions/reach/subject-reach.ts";
import type { StoredSnapshotView } from "./stored-snapshot.ts";
import { renderTable } from "./table.ts";

interface GrantRow {
  readonly subject: string;
  readonly where: string;
  readonly rule: string;
  readonly until: string;
  readonly from: string;
}

/** A snapshot for people: what it is, then every grant. @param filter only subjects whose text contains it */
export function snapshotText(view: StoredSnapshotView, filter: string): string {
  const { content } = view;
  const rows = grantRows(view).filter(({ subject }) => subject.includes(filter));
  const head = [...headLines(view), ""];
  if (rows.length === 0)
    return [...head, filter === "" ? "grants nothing to anybody" : `no grant to ${filter}`].join("\n");
  const table = renderTable(
    [
      { header: "who", value: (row: GrantRow) => row.subject },
      { header: "where", value: (row) => row.where },
      { header: "what", value: (row) => row.rule },
      { header: "until", value: (row) => row.until },
      { header: "from", value: (row) => row.from },
    ],
    rows,
  );
  const suspended = content.suspendedPrincipals;
  return [...head, table, ...(suspended.length > 0 ? ["", `suspended: ${suspended.join(", ")}`] : [])].join("\n");
}

function grantRows({ content }: StoredSnapshotView): readonly GrantRow[] {
  const rulesOf = rulesById(content);
  return content.subjects.flatMap((subject) =>
    subject.bindings.flatMap(({ ruleSet, expiresAt, source, ...place }) =>
      (rulesOf.get(ruleSet) ?? []).map((rule) => ({
        subject: `${subjectText(subject)}${isSuspended(content, subject) ? " (suspended)" : ""}`,
        where: placeText(place),
        rule: ruleText(rule),
        until: expiresAt === "" ? "-" : expiresAt,
        from: `RBACProfile ${source.profileNamespace}/${source.profileName}, PermissionSet ${source.permissionSet}`,
      })),
    ),
  );
}

function headLines({ cluster, version, contentHash, content, object }: StoredSnapshotView): readonly string[] {
  const { subjects, ruleSets, profiles, freshnessWindowSeconds, maxOfflineSeconds } = content;
  const bindings = subjects.reduce((sum, subject) => sum + subject.bindings.length, 0);
  const facts: readonly (readonly [string, string])[] = [
    ["cluster", cluster],
    ["version", version],
    ["content", contentHash],
    [
      "holds",
      `${subjects.length} subjects, ${bindings} grants, ${ruleSets.length} rule sets, ${profiles.length} profiles`,
    ],
    ["fresh for", `${freshnessWindowSeconds} s, decides offline for ${maxOfflineSeconds} s`],
    ...(object === undefined ? [] : statusFacts(object)),
  ];
  return facts.map(([name, value]) => `${`${name}:`.padEnd(13)} ${value}`);
}

function statusFacts({ status }: PermissionSnapshot): readonly (readonly [string, string])[] {
  if (status === undefined) return [["status", "none yet"]];
  const acknowledged = findCondition(status.conditions, "Acknowledged");
  const compliant = findCondition(status.conditions, "Compliant");
  return [
    [
      "signed",
      status.signed === true
        ? `${status.signedVersion ?? ""}, issued ${status.issuedAt ?? "-"}, expires ${status.expiresAt ?? "-"}`
        : "no",
    ],
    [
      "tenant holds",
      `${status.lastAckedVersion ?? "nothing yet"}${acknowledged === undefined ? "" : ` (${acknowledged.reason})`}`,
    ],
    ["cluster RBAC", compliant === undefined ? "not compared yet" : `${compliant.reason}: ${compliant.message}`],
    ...(status.localProvisioningStatus === undefined
      ? []
      : ([["materialised", status.localProvisioningStatus]] as const)),
  ];
}
