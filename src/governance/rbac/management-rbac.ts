import { ServiceAccount, type ServiceAccountObject } from "../../api/builtin.ts";
import type { AuditTrail } from "../../api/audit-record.ts";
import { ANNOTATIONS, FIELD_MANAGERS, LABELS } from "../../api/names.ts";
import { type ObjectKey, parseKeyText } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../controller/cache/informer.ts";
import { type Controller, type Result, startController } from "../../controller/controller.ts";
import { type Source, watchSource } from "../../controller/source.ts";
import { type RbacCaches, liveNamespaces, startRbacCaches } from "../../federation/spoke/rbac/rbac-caches.ts";
import { GUARDIAN, type MaterialisedObject, materialisedKey } from "../../permissions/materialise/materialised.ts";
import { planRbac } from "../../permissions/materialise/plan-rbac.ts";
import { rbacChanges } from "../../permissions/materialise/rbac-changes.ts";
import { writeRbac } from "../../permissions/materialise/write-rbac.ts";
import type { SubjectName } from "../../permissions/rules/principal.ts";
import { subjectOfPrincipal } from "../../permissions/rules/principal.ts";
import type { SnapshotContent } from "../../permissions/snapshot/content.ts";
import type { PermissionView } from "../engine/permission-view.ts";

/** Quiet time after a change of RBAC before it is looked at, milliseconds. */
const GATHER_MS = 500;
/** A look at everything in any case, and how soon a failure is tried again. */
const EVERY_MS = 5 * 60_000;
const RETRY_MS = 30_000;

/** What {@link startManagementRbac} works with. */
export interface ManagementRbacParts {
  readonly cluster: Cluster;
  readonly managementCluster: string;
  /** The newest computation; undefined before the first. */
  readonly view: () => PermissionView | undefined;
  /** Called with profiles whose outcome is another than before. */
  readonly changed: (profiles: readonly ObjectKey[]) => void;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** RBAC of the management cluster itself. */
export interface ManagementRbac {
  /** Looks again, after a computation. */
  wake(): void;
  /** Why a profile's roles and bindings do not stand; undefined when they do or none are wanted (`RBACMaterializationFailed`). */
  failure(profile: string): string | undefined;
  readonly closed: Promise<void>;
}

const KEY: ObjectKey = { name: "management-rbac" };

/**
 * Materialises what profiles grant service accounts on the management cluster (permissions §7.4), where there is no agent: effective
 * rules, with the account itself when it does not exist. Ownership stands on the objects and every look compares all of them, so a
 * profile that went away while nobody watched leaves nothing behind.
 */
export function startManagementRbac(parts: ManagementRbacParts): ManagementRbac {
  const caches = startRbacCaches(parts);
  const accounts = startInformer({ ...parts, type: ServiceAccount });
  const failures = new Map<string, string>();
  const look = new Look(parts, caches, accounts, failures);
  const wake = { map: () => [KEY], gatherMs: GATHER_MS };
  const first: Source = {
    synced: Promise.resolve(),
    subscribe: (enqueue) => {
      enqueue(KEY);
      return () => {};
    },
  };
  const { clock, random, log, signal } = parts;
  const controller: Controller = startController({
    name: "management-rbac",
    reconcile: () => look.run(),
    sources: [
      first,
      watchSource(accounts, wake),
      watchSource(caches.namespaces, wake),
      watchSource(caches.clusterRoles, wake),
      watchSource(caches.clusterRoleBindings, wake),
      watchSource(caches.roleBindings, wake),
    ],
    workers: 1,
    clock,
    random,
    log,
    signal,
  });
  return {
    wake: () => controller.enqueue(KEY),
    failure: (profile) => failures.get(profile),
    closed: Promise.all([controller.closed, caches.closed, accounts.closed]).then(() => {}),
  };
}

class Look {
  readonly #parts: ManagementRbacParts;
  readonly #caches: RbacCaches;
  readonly #accounts: Informer<ServiceAccountObject>;
  readonly #failures: Map<string, string>;

  constructor(
    parts: ManagementRbacParts,
    caches: RbacCaches,
    accounts: Informer<ServiceAccountObject>,
    failures: Map<string, string>,
  ) {
    this.#parts = parts;
    this.#caches = caches;
    this.#accounts = accounts;
    this.#failures = failures;
  }

  async run(): Promise<Result | void> {
    const { view: viewNow, clock, cluster, managementCluster, assertFenced, log } = this.#parts;
    const view = viewNow();
    if (view === undefined) return;
    const content = managementContent(view, managementCluster);
    const plan = planRbac(content, clock.now(), liveNamespaces(this.#caches));
    const found: readonly MaterialisedObject[] = [
      ...this.#caches.clusterRoles.list(),
      ...this.#caches.clusterRoleBindings.list(),
      ...this.#caches.roleBindings.list(),
    ];
    const changes = rbacChanges(plan.objects, found);
    assertFenced();
    const lost = await this.#accountsOf(content, view);
    const outcome = await writeRbac(cluster, changes, this.#parts.trail);
    if (outcome.written + outcome.removed > 0)
      log.info({ written: outcome.written, removed: outcome.removed }, "RBAC of the management cluster materialised");
    const problems = new Map<string, string>(lost);
    const profileOf = new Map(
      plan.objects.map((object) => [
        materialisedKey(object),
        object.metadata.annotations?.[ANNOTATIONS.rbacProfile] ?? "",
      ]),
    );
    for (const key of changes.foreign)
      problems.set(profileOf.get(key) ?? "", `${key} belongs to somebody else and is left alone; rename or delete it`);
    for (const { object, message } of outcome.failed) {
      const profile = profileOf.get(object);
      if (profile !== undefined) problems.set(profile, `${object}: ${message}`);
    }
    this.#say(problems);
    const endMs = plan.nextEndMs === undefined ? EVERY_MS : Math.max(0, plan.nextEndMs - clock.now()) + 1;
    return { requeueAfterMs: Math.min(endMs, problems.size > 0 ? RETRY_MS : EVERY_MS) };
  }

  #say(problems: ReadonlyMap<string, string>): void {
    const changed: ObjectKey[] = [];
    for (const profile of new Set([...problems.keys(), ...this.#failures.keys()]))
      if (problems.get(profile) !== this.#failures.get(profile)) changed.push(parseKeyText(profile));
    this.#failures.clear();
    for (const [profile, text] of problems) this.#failures.set(profile, text);
    if (changed.length > 0) this.#parts.changed(changed);
  }

  /**
   * Creates accounts that are missing and removes those of ours that no profile names any more: a profile that is only suspended or
   * regressed keeps its account, since a new one would be another with other tokens. Returns what could not be done, by profile.
   */
  async #accountsOf(content: SnapshotContent, view: PermissionView): Promise<ReadonlyMap<string, string>> {
    const { cluster } = this.#parts;
    const problems = new Map<string, string>();
    const existing = new Set(liveNamespaces(this.#caches));
    for (const subject of content.subjects) {
      const { namespace, name } = subject;
      if (this.#accounts.get({ namespace, name }) !== undefined) continue;
      const sources = new Set(subject.bindings.map(({ source }) => `${source.profileNamespace}/${source.profileName}`));
      const lost = (text: string): void => {
        for (const profile of sources) problems.set(profile, text);
      };
      if (!existing.has(namespace)) {
        lost(`ServiceAccount ${namespace}/${name}: its namespace does not exist; create it`);
        continue;
      }
      try {
        await cluster.create(ServiceAccount, accountOf(subject), { fieldManager: FIELD_MANAGERS.rbacMaterialiser });
      } catch (error) {
        if (!isStatus(error, "AlreadyExists")) lost(`ServiceAccount ${namespace}/${name}: ${errorMessage(error)}`);
      }
    }
    const named = new Set<string>();
    for (const { object } of view.profilesOn(this.#parts.managementCluster)) {
      const { namespace, name } = subjectOfPrincipal(object.spec.principalRef);
      named.add(`${namespace}/${name}`);
    }
    for (const { metadata } of this.#accounts.list()) {
      const { namespace = "", name, labels, annotations, uid } = metadata;
      const ours = labels?.[LABELS.rbacManagedBy] === GUARDIAN && annotations?.[ANNOTATIONS.rbacOwner] === GUARDIAN;
      if (!ours || named.has(`${namespace}/${name}`)) continue;
      try {
        await cluster.delete(ServiceAccount, { namespace, name }, uid === undefined ? {} : { preconditions: { uid } });
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    }
    return problems;
  }
}

function accountOf({ namespace, name }: SubjectName): ServiceAccountObject {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: {
      namespace,
      name,
      labels: { [LABELS.rbacManagedBy]: GUARDIAN },
      annotations: { [ANNOTATIONS.rbacOwner]: GUARDIAN },
    },
  };
}

/** What profiles grant service accounts on the management cluster, in the form of a snapshot that nobody signs. */
export function managementContent(view: PermissionView, managementCluster: string): SnapshotContent {
  const { content } = view.contentWithoutCeilings(managementCluster);
  return { ...content, subjects: content.subjects.filter(({ kind }) => kind === "ServiceAccount") };
}
