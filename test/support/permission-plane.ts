import { type AuditTrail, silentTrail } from "../../src/api/audit-record.ts";
import { findCondition } from "../../src/api/conditions.ts";
import { PermissionSet } from "../../src/api/kinds/permission-set.ts";
import { RBACProfile, type RBACProfileSpec } from "../../src/api/kinds/rbac-profile.ts";
import { NAMESPACES } from "../../src/api/names.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { type SnapshotSigning, startSnapshotSigning } from "../../src/governance/snapshots/start-snapshot-signing.ts";
import { testKey } from "../oracle/signed-snapshots.ts";
import { type TestManagementCluster, openManagementCluster } from "./management-cluster.ts";

const API = "guardian.ontai.dev/v1alpha1" as const;

/** How long a test waits for what the plane does in some hundred milliseconds: a busy machine is no failure. */
export const PLANE_PATIENCE = { timeout: 20_000, interval: 20 };

/** Names an object in `seam-system`. */
export const inSeam = (name: string) => ({ namespace: NAMESPACES.seam, name });

/** The running permission plane of an embedded management cluster, for one test file. */
export interface PermissionPlane extends TestManagementCluster {
  /** Stops the plane and starts it anew, as a new leader does. */
  restart(): Promise<void>;
  /** Stops it, as a leader does that lost its lease. */
  stop(): Promise<void>;
  /** The graph that it signs. */
  source(): SnapshotSigning["source"];
  /** Creates a PermissionSet on pods. */
  permissionSet(name: string, verbs: readonly string[], namespace?: string): Promise<void>;
  /** Creates an RBACProfile. */
  profile(name: string, spec: RBACProfileSpec, namespace?: string): Promise<void>;
  /** `provisioned`, and reason and message of its condition. */
  provisioned(name: string, namespace?: string): Promise<readonly (boolean | string | undefined)[]>;
}

/** What {@link openPermissionPlane} may be told. */
export interface PermissionPlaneOptions {
  readonly tenants?: readonly string[];
  readonly trail?: AuditTrail;
  /** Runs before the plane starts: objects that stand already. */
  readonly before?: (plane: PermissionPlane) => Promise<void>;
}

/** Opens it. */
export async function openPermissionPlane(options: PermissionPlaneOptions = {}): Promise<PermissionPlane> {
  const management = await openManagementCluster();
  const { cluster } = management;
  const key = testKey();
  let stop = new AbortController();
  let signing: SnapshotSigning | undefined;
  const start = async (): Promise<void> => {
    stop = new AbortController();
    signing = await startSnapshotSigning({
      cluster,
      signer: key.signer,
      keys: key.ring,
      managementCluster: "management-1",
      trail: options.trail ?? silentTrail,
      clock: systemClock,
      random: new SeededRandom(1),
      log: silentLog,
      signal: stop.signal,
    });
    await signing.ready;
  };
  const end = async (): Promise<void> => {
    stop.abort();
    await signing?.closed;
  };
  const plane: PermissionPlane = {
    ...management,
    async restart() {
      await end();
      await start();
    },
    stop: end,
    source() {
      if (signing === undefined) throw new Error("the plane was not started");
      return signing.source;
    },
    async permissionSet(name, verbs, namespace = NAMESPACES.seam) {
      await cluster.create(PermissionSet, {
        apiVersion: API,
        kind: "PermissionSet",
        metadata: { name, namespace },
        spec: { permissions: [{ apiGroups: [""], resources: ["pods"], verbs }] },
      });
    },
    async profile(name, spec, namespace = NAMESPACES.seam) {
      await cluster.create(RBACProfile, { apiVersion: API, kind: "RBACProfile", metadata: { name, namespace }, spec });
    },
    async provisioned(name, namespace = NAMESPACES.seam) {
      const { status } = await cluster.get(RBACProfile, { namespace, name });
      const condition = findCondition(status?.conditions, "Provisioned");
      return [status?.provisioned, condition?.reason, condition?.message];
    },
    async close() {
      await end();
      await management.close();
    },
  };
  for (const tenant of options.tenants ?? []) await management.addTenant(tenant);
  await options.before?.(plane);
  await start();
  return plane;
}
