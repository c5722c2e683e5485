import { atOnce } from "../../base/next-turn.ts";
import { type ContentChanges, compareContents, isUnchanged } from "../../permissions/reach/compare-content.ts";
import { type EncodedContent, type SnapshotContent, encodeContent } from "../../permissions/snapshot/content.ts";
import type { ProfileVerdict } from "../../permissions/validation/validate-rbac-profile.ts";
import type { Verdict } from "../../permissions/validation/verdict.ts";
import { type PermissionChange, type PermissionObject, objectName } from "../engine/permission-object.ts";
import type { Judged, PermissionListener, PermissionView } from "../engine/permission-view.ts";
import { type PermissionWorld, engineOf, objectsOf } from "../engine/permission-world.ts";
import { managementContent } from "../rbac/management-rbac.ts";
import { proposedWorld, sameDeclaration } from "./proposed-world.ts";

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

/**
 * Judges a proposal (permissions §19 P12), pure: the engine's own computation, moved on by the proposal, and the difference of all
 * decisions where something became another.
 */
export function simulate(found: PermissionWorld, changes: readonly PermissionChange[], nowMs: number): Simulation {
  // What is under way already is not the proposal's doing.
  const world = proposedWorld(found, []);
  const [was, is] = [declared(world), declared(proposedWorld(world, changes))];
  const { managementCluster } = world;
  const engine = engineOf(world);
  const { view } = engine;
  const names = new Set([...view.snapshots.keys(), managementCluster]);
  const heldBefore = managementComputed(view, managementCluster);
  for (const [name, object] of is) if (was.get(name) !== object) engine.apply({ type: "put", object });
  for (const [name, { kind, metadata }] of was)
    if (!is.has(name)) engine.apply({ type: "remove", kind, namespace: metadata.namespace ?? "", name: metadata.name });
  const heard = new Heard();
  atOnce(engine.settle(heard));
  for (const name of view.snapshots.keys()) names.add(name);
  const moved = new Map<string, Moved<Computed>>(heard.clusters);
  moved.set(managementCluster, { before: heldBefore, after: managementComputed(view, managementCluster) });
  return {
    objects: objectOutcomes(was, is, heard, view, changes),
    clusters: [...moved]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([cluster, { before, after }]) => clusterOutcome(cluster, before, after, nowMs)),
    clustersTotal: names.size,
  };
}

type Computed = EncodedContent & { readonly content: SnapshotContent };

/** What became of something; undefined where there was or is none. */
interface Moved<T> {
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** What is granted on the management cluster, which has no snapshot. */
function managementComputed(view: PermissionView, managementCluster: string): Computed {
  const content = managementContent(view, managementCluster);
  return { content, ...encodeContent(content) };
}

/** Everything that became another, first and last state of each. */
class Heard implements PermissionListener {
  readonly clusters = new Map<string, Moved<Computed>>();
  /** Verdicts by `Kind namespace/name`. */
  readonly verdicts = new Map<string, Moved<OutcomeVerdict>>();

  readonly set = this.#judged(plainVerdict);
  readonly policy = this.#judged(plainVerdict);
  readonly provider = this.#judged(plainVerdict);
  readonly binding = this.#judged(plainVerdict);
  readonly profile = this.#judged(profileVerdict);

  cluster(name: string, before: Computed | undefined, after: Computed | undefined): void {
    this.clusters.set(name, { before: this.clusters.has(name) ? this.clusters.get(name)?.before : before, after });
  }

  #judged<V extends Verdict>(shown: (verdict: V) => OutcomeVerdict) {
    return (before: Judged<PermissionObject, V> | undefined, after: Judged<PermissionObject, V> | undefined): void => {
      const object = (after ?? before)?.object;
      if (object === undefined) return;
      const name = objectName(object);
      const first = this.verdicts.has(name) ? this.verdicts.get(name)?.before : before && shown(before.verdict);
      this.verdicts.set(name, { before: first, after: after && shown(after.verdict) });
    };
  }
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
  was: ReadonlyMap<string, PermissionObject>,
  is: ReadonlyMap<string, PermissionObject>,
  { verdicts }: Heard,
  view: PermissionView,
  changes: readonly PermissionChange[],
): readonly ObjectOutcome[] {
  const proposed = new Set(changes.flatMap((change) => (change.type === "put" ? [objectName(change.object)] : [])));
  const found: ObjectOutcome[] = [];
  for (const object of [...new Set([...was.keys(), ...is.keys()])].sort()) {
    const [held, now] = [was.get(object), is.get(object)];
    const change = changeOf(held, now, proposed.has(object));
    const moved = verdicts.get(object);
    if (change === "affected" && (moved === undefined || sameVerdict(moved.before, moved.after))) continue;
    const standing = now && verdictIn(view, now);
    const { before, after } = moved ?? { before: standing, after: standing };
    found.push({ object, change, before, after });
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
  return new Map(objectsOf(world).map((object) => [objectName(object), object]));
}

function verdictIn(view: PermissionView, { kind, metadata }: PermissionObject): OutcomeVerdict | undefined {
  const judged = {
    PermissionSet: view.sets,
    RBACPolicy: view.policies,
    IdentityProvider: view.providers,
    IdentityBinding: view.bindings,
  };
  if (kind === "TalosCluster") return undefined;
  if (kind !== "RBACProfile") {
    const verdict = judged[kind].get(metadata)?.verdict;
    return verdict && plainVerdict(verdict);
  }
  const verdict = view.profiles.get(metadata)?.verdict;
  return verdict && profileVerdict(verdict);
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
