import { type JsonObject, isJsonObject } from "../base/json.ts";
import type { ObjectMeta } from "./object.ts";
import { type ResourceType, groupResource } from "./resource-type.ts";

/**
 * Every action of the audit log but those of its own numbering (`audit.gap`, `audit.dropped`, `audit.sampled`): permissions §12.1, and what
 * and the channel add. docs/audit.md says when each is recorded; a test holds the two together.
 */
export const AUDIT_ACTIONS = [
  "rbacpolicy.validated",
  "rbacpolicy.validation_failed",
  "rbacprofile.provisioned",
  "rbacprofile.validation_failed",
  "rbacprofile.deprovisioned",
  "seammembership.admitted",
  "seammembership.refused",
  "seammembership.withdrawn",
  "ceiling.trimmed",
  "ceiling.changed",
  "ceiling.extension_proposed",
  "clusterrole.materialized",
  "clusterrolebinding.materialized",
  "rolebinding.materialized",
  "rbac.removed",
  "epg.computation_complete",
  "permissionsnapshot.computed",
  "permissionsnapshot.delivered",
  "permissionsnapshot.drift_detected",
  "permissionsnapshot.withdrawn",
  "snapshot.signed",
  "snapshot.offered",
  "snapshot.applied",
  "snapshot.rejected",
  "snapshot.revoked",
  "snapshot.expired",
  "signature.forged",
  "signature.rejected",
  "revocation.ordered",
  "revocation.effective",
  "revocation.failed",
  "revocation.applied",
  "packreceipt.changed",
  "drift.detected",
  "drift.resolved",
  "surface.drift",
  "governance.reverted",
  "audit_batch.processed",
  "audit_batch.malformed",
  "audit.conflict",
  "audit.quarantine_resolved",
  "audit.removed",
  "audit.missed",
] as const;

/** One of {@link AUDIT_ACTIONS}. */
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** One event before the log numbers it (permissions §12.1). Absent members are left out of the event. */
export interface AuditRecord {
  readonly action: AuditAction;
  /** `system`: nobody asked for anything. */
  readonly decision: "admit" | "deny" | "audit" | "system";
  /** Who acted, or whom it concerns. */
  readonly subject: string;
  /** `{plural}.{group}/{name}` of the object, or what else it is about. */
  readonly resource: string;
  readonly kind?: string;
  readonly namespace?: string;
  /** `{namespace}/{name}` of the policy or profile that decided. */
  readonly matchedPolicy?: string;
  readonly snapshotVersion?: string;
  /** Stable reason. */
  readonly code?: string;
  /** The LineageRecord of the object's root; absent for what has none. */
  readonly lineageIndexRef?: LineageRef;
  /** What else a reader needs; bounded by whoever records it. */
  readonly details?: JsonObject;
}

/** Names a LineageRecord. */
export interface LineageRef {
  readonly name: string;
  readonly namespace: string;
}

/** Where audit records go. An audit log decides nothing: recording never fails and never holds anything up for long. */
export interface AuditTrail {
  /** Resolves when the record is durable, or is kept in memory because the log takes nothing at the moment. Never rejects. */
  record(record: AuditRecord): Promise<void>;
}

/** Drops everything; for tests, tools and benches. */
export const silentTrail: AuditTrail = { record: () => Promise.resolve() };

/** Annotation of a lineage controller on roots and what descends from them (resources-seam §8.2): `{namespace}/{name}` or a name. */
export const LINEAGE_RECORD_REF = "governance.seam.ontai.dev/lineage-record-ref";

/** What a record says of the object it is about. */
export function auditObject(
  type: Pick<ResourceType, "group" | "resource" | "kind">,
  metadata: Pick<ObjectMeta, "name" | "namespace" | "annotations">,
): Pick<AuditRecord, "resource" | "kind" | "namespace" | "lineageIndexRef"> {
  const { name, namespace } = metadata;
  const lineage = lineageOf(metadata);
  return {
    resource: `${groupResource(type)}/${name}`,
    kind: type.kind,
    ...(namespace !== undefined && { namespace }),
    ...(lineage !== undefined && { lineageIndexRef: lineage }),
  };
}

function lineageOf({
  namespace = "",
  annotations,
}: Pick<ObjectMeta, "namespace" | "annotations">): LineageRef | undefined {
  const text = annotations?.[LINEAGE_RECORD_REF] ?? "";
  const slash = text.indexOf("/");
  const ref = { namespace: slash < 0 ? namespace : text.slice(0, slash), name: text.slice(slash + 1) };
  return ref.name === "" ? undefined : ref;
}

/** Reads the member `lineageIndexRef` of an event; undefined when it has none. */
export function lineageRefOf(event: JsonObject): LineageRef | undefined {
  const ref = event["lineageIndexRef"];
  if (!isJsonObject(ref)) return undefined;
  const { name, namespace } = ref;
  return typeof name === "string" && typeof namespace === "string" ? { name, namespace } : undefined;
}
