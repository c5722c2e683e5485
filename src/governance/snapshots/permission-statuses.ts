import type { Condition } from "../../api/kinds/condition.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { type KubeObject, keyText } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import type { Controller, Reconciler } from "../../controller/controller.ts";
import type { Source } from "../../controller/source.ts";
import type { AuditRecord, AuditTrail } from "../../api/audit-record.ts";
import { applicableClusters } from "../../permissions/builder/applicable-clusters.ts";
import type { ProfileVerdict } from "../../permissions/validation/validate-rbac-profile.ts";
import { type Verdict, objectText, refused } from "../../permissions/validation/verdict.ts";
import type { PermissionCaches } from "./permission-caches.ts";
import type { Judged, Judgements, PermissionView } from "../engine/permission-view.ts";
import { ceilingRecords, policyRecords, profileRecords } from "./permission-trail.ts";
import {
  writeBindingStatus,
  writeLineage,
  writePolicyStatus,
  writeProfileStatus,
  writeProviderStatus,
  writeSetStatus,
} from "./permission-status.ts";

/** What {@link startPermissionStatuses} works with. */
export interface PermissionStatusParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly caches: PermissionCaches;
  /** Starts a controller that also waits for the caches. */
  readonly controller: (name: string, reconcile: Reconciler, sources: readonly Source[]) => Controller;
  /** The newest computation; undefined before the first. */
  readonly view: () => PermissionView | undefined;
  /** Published version per cluster. */
  readonly versions: ReadonlyMap<string, string>;
  /** Why a profile's roles and bindings do not stand on the management cluster. */
  readonly materialisationFailure: (profile: string) => string | undefined;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  readonly trail: AuditTrail;
}

/** Controllers that write verdicts into the status of the objects, one per kind; they are woken by hand, after a computation. */
export interface PermissionStatuses {
  readonly sets: Controller;
  readonly policies: Controller;
  readonly providers: Controller;
  readonly bindings: Controller;
  /** The one writer of `provisioned`. */
  readonly profiles: Controller;
}

/** Starts them. */
export function startPermissionStatuses(parts: PermissionStatusParts): PermissionStatuses {
  const { caches, controller, view: viewNow, versions, materialisationFailure, assertFenced, trail } = parts;
  /** The log first: a crash in between tells the same transition again, never not at all. */
  const tell = async (records: readonly AuditRecord[]): Promise<void> => {
    await Promise.all(records.map((record) => trail.record(record)));
  };
  /** Writes the status of an object from the verdict on exactly this generation; a newer generation is about to be judged. */
  const statusOf =
    <T extends KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } }, V extends Verdict>(
      informer: Informer<T>,
      judgedIn: (view: PermissionView) => Judgements<Judged<T, V>>,
      write: (object: T, verdict: V, view: PermissionView) => Promise<void>,
    ): Reconciler =>
    async (key) => {
      const now = viewNow();
      const judged = now && judgedIn(now).get(key);
      const object = informer.get(key);
      if (now === undefined || judged === undefined || object === undefined) return;
      const { generation, uid } = judged.object.metadata;
      if (object.metadata.generation !== generation || object.metadata.uid !== uid) return;
      assertFenced();
      await write(object, judged.verdict, now);
      await writeLineage(parts, informer.type, object);
    };
  const sets = controller(
    "permission-set",
    statusOf(
      caches.sets,
      (now) => now.sets,
      async (set, verdict, now) => {
        await tell(ceilingRecords(set, verdict));
        await writeSetStatus(parts, set, verdict, now);
      },
    ),
    [],
  );
  const policies = controller(
    "rbac-policy",
    statusOf(
      caches.policies,
      (now) => now.policies,
      async (policy, verdict, now) => {
        await tell(policyRecords(policy, verdict));
        await writePolicyStatus(parts, policy, verdict, now);
      },
    ),
    [],
  );
  const providers = controller(
    "identity-provider",
    statusOf(
      caches.providers,
      (now) => now.providers,
      (provider, verdict) => writeProviderStatus(parts, provider, verdict),
    ),
    [],
  );
  const bindings = controller(
    "identity-binding",
    statusOf(
      caches.bindings,
      (now) => now.bindings,
      (binding, verdict) => writeBindingStatus(parts, binding, verdict),
    ),
    [],
  );
  const profiles = controller(
    "rbac-profile",
    statusOf(
      caches.profiles,
      (now) => now.profiles,
      async (profile, judged, now) => {
        const verdict = materialised(profile, judged, materialisationFailure(keyText(profile.metadata)));
        await tell(profileRecords(profile, verdict));
        await writeProfileStatus(parts, profile, verdict, versionsOf(profile, now));
      },
    ),
    [],
  );

  function versionsOf(profile: RBACProfile, now: PermissionView): ReadonlyMap<string, string> {
    const { namespace = "" } = profile.metadata;
    const policy = now.policies.get({ namespace, name: profile.spec.rbacPolicyRef ?? "" })?.object;
    if (policy === undefined) return new Map();
    const clusters = applicableClusters(profile, policy, now.registry);
    const found = new Map<string, string>();
    for (const name of clusters) {
      const version = versions.get(name);
      if (version !== undefined) found.set(name, version);
    }
    return found;
  }

  return { sets, policies, providers, bindings, profiles };
}

/** The verdict of a profile whose roles and bindings do not stand on the management cluster (permissions §7.3 step 10). */
function materialised(profile: RBACProfile, verdict: ProfileVerdict, failure: string | undefined): ProfileVerdict {
  if (!verdict.ok || failure === undefined) return verdict;
  const check = {
    check: "RBACMaterialized",
    object: objectText("RBACProfile", profile.metadata),
    field: "spec",
    expected: `its roles and bindings on the management cluster, found: ${failure}`,
    remedy: "it is tried again every 30 s",
  };
  return { ...verdict, ...refused("RBACMaterializationFailed", [check], verdict.warnings) };
}
