import { type ContentChanges, compareContents, isUnchanged } from "../../permissions/reach/compare-content.ts";
import { type EncodedContent, type SnapshotContent, encodeContent } from "../../permissions/snapshot/content.ts";
import type { ProfileVerdict } from "../../permissions/validation/validate-rbac-profile.ts";
import type { Verdict } from "../../permissions/validation/verdict.ts";
import { managementContent } from "../rbac/management-rbac.ts";
import { PermissionEngine, type PermissionView, type PermissionWorld } from "../snapshots/permission-engine.ts";
import {
  type PermissionObject,
  type ProposedChange,
  objectName,
  proposedWorld,
  sameDeclaration,
} from "./proposed-world.ts";

/** What the plane says of an object. */
export interface OutcomeVerdict {
  readonly ok: boolean;
  readonly reason: string;
  /** For people: every failed check, or what is not granted. */
  readonly message: string;
  readonly warnings: readonly string[];
}

/** An object that the proposal changes, or whose verdict it changes. */
export interface ObjectOutcome {
  /** `Kind namespace/name`. */
  readonly object: string;
  /** `affected`: stays as it is and is judged otherwise. */
  readonly change: "created" | "changed" | "unchanged" | "removed" | "affected";
  readonly before: OutcomeVerdict | undefined;
  readonly after: OutcomeVerdict | undefined;
}

/** A cluster whose snapshot becomes another. */
export interface ClusterOutcome {
  readonly cluster: string;
  readonly change: "changed" | "created" | "withdrawn";
  /** Content hashes; empty for none. */
  readonly contentHashBefore: string;
  readonly contentHashAfter: string;
  /** What anybody may do there more or less; may be empty: records change without any decision. */
  readonly decisions: ContentChanges;
}

/** What would happen if a proposal were applied. */
export interface Simulation {
  readonly objects: readonly ObjectOutcome[];
  readonly clusters: readonly ClusterOutcome[];
  /** Clusters that get a snapshot, before or after, and the management cluster. */
  readonly clustersTotal: number;
}

/** Judges a proposal (permissions §19 P12), pure: the engine's own computation before and after, and the difference of all decisions. */
export function simulate(found: PermissionWorld, changes: readonly ProposedChange[], nowMs: number): Simulation {
  // What is under way already is not the proposal's doing.
  const world = proposedWorld(found, []);
  const next = proposedWorld(world, changes);
  const before = new PermissionEngine().compute(world);
  const after = new PermissionEngine().compute(next);
  const { managementCluster } = world;
  const [held, now] = [contentsOf(before, managementCluster), contentsOf(after, managementCluster)];
  const clusters = [...new Set([...held.keys(), ...now.keys()])].sort();
  return {
    objects: objectOutcomes(world, next, before, after, changes),
    clusters: clusters.flatMap((cluster) => clusterOutcome(cluster, held.get(cluster), now.get(cluster), nowMs)),
    clustersTotal: clusters.length,
  };
}

type Computed = EncodedContent & { readonly content: SnapshotContent };

/** What is granted on each cluster: snapshots, and what is materialised on the management cluster, which has none. */
function contentsOf(view: PermissionView, managementCluster: string): ReadonlyMap<string, Computed> {
  const contents = new Map<string, Computed>(view.snapshots);
  const content = managementContent(view, managementCluster);
  return contents.set(managementCluster, { content, ...encodeContent(content) });
}

/** True when somebody may do more or less, or somebody is suspended or resumed. */
export function changesDecisions({ clusters }: Simulation): boolean {
  return clusters.some(({ decisions }) => !isUnchanged(decisions));
}

/** Objects of the proposal that are refused, and objects that it makes refused. */
export function refusedObjects({ objects }: Simulation): readonly ObjectOutcome[] {
  return objects.filter(({ change, before, after }) =>
    change === "affected" ? before?.ok === true && isRefused(after) : isRefused(after),
  );
}

/** A suspended profile is not provisioned, and that is what was asked for. */
export function isRefused(verdict: OutcomeVerdict | undefined): boolean {
  return verdict !== undefined && !verdict.ok && verdict.reason !== "Suspended";
}

/** True when somebody may do more than before. */
export function gainsAnything({ clusters }: Simulation): boolean {
  return clusters.some(
    ({ decisions }) => decisions.resumed.length > 0 || decisions.subjects.some(({ change }) => change === "gains"),
  );
}

function clusterOutcome(
  cluster: string,
  held: Computed | undefined,
  next: Computed | undefined,
  nowMs: number,
): readonly ClusterOutcome[] {
  if (held?.contentHash === next?.contentHash) return [];
  const either = held?.content ?? next?.content;
  if (either === undefined) return [];
  const empty: SnapshotContent = { ...either, subjects: [], ruleSets: [], profiles: [], suspendedPrincipals: [] };
  return [
    {
      cluster,
      change: held === undefined ? "created" : next === undefined ? "withdrawn" : "changed",
      contentHashBefore: held?.contentHash ?? "",
      contentHashAfter: next?.contentHash ?? "",
      decisions: compareContents(held?.content ?? empty, next?.content ?? empty, nowMs),
    },
  ];
}

function objectOutcomes(
  world: PermissionWorld,
  next: PermissionWorld,
  before: PermissionView,
  after: PermissionView,
  changes: readonly ProposedChange[],
): readonly ObjectOutcome[] {
  const [was, is] = [declared(world), declared(next)];
  const [judgedBefore, judgedAfter] = [verdicts(before), verdicts(after)];
  const proposed = new Set(changes.flatMap((change) => (change.type === "put" ? [objectName(change.object)] : [])));
  const found: ObjectOutcome[] = [];
  for (const object of [...new Set([...was.keys(), ...is.keys()])].sort()) {
    const [held, now] = [was.get(object), is.get(object)];
    const [verdictBefore, verdictAfter] = [judgedBefore.get(object), judgedAfter.get(object)];
    const change = changeOf(held, now, proposed.has(object));
    if (change === "affected" && sameVerdict(verdictBefore, verdictAfter)) continue;
    found.push({ object, change, before: verdictBefore, after: verdictAfter });
  }
  return found;
}

function changeOf(
  held: PermissionObject | undefined,
  now: PermissionObject | undefined,
  proposed: boolean,
): ObjectOutcome["change"] {
  if (held === undefined) return "created";
  if (now === undefined) return "removed";
  if (held !== now && !sameDeclaration(held, now)) return "changed";
  return proposed ? "unchanged" : "affected";
}

function sameVerdict(a: OutcomeVerdict | undefined, b: OutcomeVerdict | undefined): boolean {
  return a?.ok === b?.ok && a?.reason === b?.reason && a?.message === b?.message;
}

function declared(world: PermissionWorld): ReadonlyMap<string, PermissionObject> {
  const lists = [world.clusters, world.sets, world.policies, world.providers, world.profiles, world.bindings];
  return new Map(lists.flat().map((object) => [objectName(object), object]));
}

function verdicts(view: PermissionView): ReadonlyMap<string, OutcomeVerdict> {
  const found = new Map<string, OutcomeVerdict>();
  for (const judged of [view.sets, view.policies, view.providers, view.bindings])
    for (const { object, verdict } of judged.values()) found.set(objectName(object), plainVerdict(verdict));
  for (const { object, verdict } of view.profiles.values()) found.set(objectName(object), profileVerdict(verdict));
  return found;
}

function plainVerdict({ ok, reason, message, warnings }: Verdict): OutcomeVerdict {
  return { ok, reason, message, warnings };
}

/** Of a provisioned profile people want to know what it does not get. */
function profileVerdict(verdict: ProfileVerdict): OutcomeVerdict {
  const { compliance } = verdict;
  if (!verdict.ok || compliance === undefined) return plainVerdict(verdict);
  return {
    ok: true,
    reason: compliance.reason === "Compliant" ? verdict.reason : compliance.reason,
    message: compliance.message,
    warnings: verdict.warnings,
  };
}
