import type { AuditTrail } from "../../api/audit-record.ts";
import type { ConditionUpdate } from "../../api/conditions.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { SeamMembership } from "../../api/kinds/seam-membership.ts";
import { FIELD_MANAGERS } from "../../api/names.ts";
import { type Clock, rfc3339Seconds } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../controller/cache/informer.ts";
import { startController } from "../../controller/controller.ts";
import { watchSource } from "../../controller/source.ts";
import { applyStatus } from "../../controller/status.ts";
import { BY_NAMESPACE } from "../snapshots/permission-caches.ts";
import { writeLineage } from "../snapshots/permission-status.ts";
import { judgeMembership, permissionSnapshotRefOf } from "./judge-membership.ts";
import { deletedMembershipRecords, membershipRecords } from "./membership-trail.ts";

/** What {@link startMemberships} works with. */
export interface MembershipParts {
  readonly cluster: Cluster;
  /** With its index {@link BY_NAMESPACE}. */
  readonly profiles: Informer<RBACProfile>;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  /** The hub's own audit log. */
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Admits operators, and takes the admission back when what it rested on goes (resources-seam §9). Woken by the profiles, too. */
export function startMemberships(parts: MembershipParts): { readonly closed: Promise<void> } {
  const { cluster, profiles, clock, random, log, signal, assertFenced, trail } = parts;
  const memberships = startInformer({ cluster, type: SeamMembership, clock, random, log, signal });
  memberships.subscribe((event) => {
    if (event.type !== "DELETED" || signal.aborted) return;
    for (const record of deletedMembershipRecords(event.object)) void trail.record(record);
  });
  const namesakes = ({ metadata, spec }: RBACProfile) =>
    memberships
      .list()
      .filter((each) => each.metadata.namespace === metadata.namespace && each.spec.principalRef === spec.principalRef)
      .map((each) => ({ namespace: each.metadata.namespace ?? "", name: each.metadata.name }));
  const controller = startController({
    name: "seam-membership",
    reconcile: async (key) => {
      const membership = memberships.get(key);
      if (membership === undefined || membership.metadata.deletionTimestamp !== undefined) return;
      const verdict = judgeMembership(membership, profiles.byIndex(BY_NAMESPACE, membership.metadata.namespace ?? ""));
      const { admitted, reason, message } = verdict;
      assertFenced();
      // Before the status, so that a crash in between tells it twice and never not at all.
      for (const record of membershipRecords(membership, verdict)) await trail.record(record);
      const { generation = 0 } = membership.metadata;
      const condition = (type: string): ConditionUpdate => ({
        type,
        status: admitted ? "True" : "False",
        reason,
        message,
        observedGeneration: generation,
      });
      const admittedAt = membership.status?.admittedAt ?? (admitted ? rfc3339Seconds(clock.now()) : undefined);
      const fields = {
        observedGeneration: generation,
        admitted,
        ...(admittedAt !== undefined && { admittedAt }),
        ...(admitted && { permissionSnapshotRef: permissionSnapshotRefOf(membership) }),
      };
      const conditions = [condition("Validated"), condition("Admitted")];
      const content = { fields, conditions };
      await applyStatus({ cluster, clock }, SeamMembership, membership, content, FIELD_MANAGERS.permissionEngine);
      await writeLineage({ cluster, clock }, SeamMembership, membership);
    },
    sources: [watchSource(memberships), watchSource(profiles, { map: namesakes })],
    clock,
    random,
    log,
    signal,
  });
  return { closed: Promise.all([controller.closed, memberships.closed]).then(() => {}) };
}
