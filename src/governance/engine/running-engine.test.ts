import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  CLUSTERS,
  PODS,
  permissionSet,
  policy,
  profile,
  talosCluster,
} from "../../../test/support/permission-objects.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../test/support/management-cluster.ts";
import { Namespace } from "../../api/builtin.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { ManualClock, systemClock } from "../../base/clock.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { startPermissionCaches } from "../snapshots/permission-caches.ts";
import { keyText } from "../../api/object.ts";
import { changedKey } from "./permission-view.ts";
import { type RunningEngine, startPermissionEngine } from "./running-engine.ts";

const PATIENT = { timeout: 20_000, interval: 10 };
const HOME = "seam-tenant-c1";
const key = { namespace: HOME, name: "web" };

let management: TestManagementCluster;
let stop: AbortController;
let clock: ManualClock;
let running: RunningEngine;
let heard: string[];
/** Computations, each with the clusters that were computed. */
let computed: number[];
let anew: number;
let errors: string[];
/** Makes the next thing that is heard fail. */
let fail: Error | undefined;

beforeEach(async () => {
  management = await openManagementCluster();
  stop = new AbortController();
  clock = new ManualClock();
  [heard, computed, errors] = [[], [], []];
  anew = 0;
  fail = undefined;
  const { cluster } = management;
  for (const name of CLUSTERS)
    await cluster.create(Namespace, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: `seam-tenant-${name}` },
    });
  await cluster.create(PermissionSet, permissionSet("seam-system", "management-maximum", PODS));
  await cluster.create(TalosCluster, talosCluster("c1"));
  await cluster.create(PermissionSet, permissionSet(HOME, "cluster-maximum", PODS));
  await cluster.create(PermissionSet, permissionSet(HOME, "claims", PODS));
  await cluster.create(RBACPolicy, policy(HOME, "cluster-policy", { allowedClusters: ["c1"] }));
  await cluster.create(RBACProfile, profile(HOME, "web", { targetClusters: ["c1"] }));
  const { signal } = stop;
  const caches = startPermissionCaches({
    cluster,
    clock: systemClock,
    random: new SeededRandom(1),
    log: silentLog,
    signal,
  });
  const log: Log = { ...silentLog, error: (fields) => errors.push(String(fields["error"])), child: () => log };
  running = startPermissionEngine({
    settings: { managementCluster: "m" },
    informers: {
      TalosCluster: caches.clusters,
      PermissionSet: caches.sets,
      RBACPolicy: caches.policies,
      RBACProfile: caches.profiles,
      IdentityProvider: caches.providers,
      IdentityBinding: caches.bindings,
    },
    listener: {
      profile: (before, after) => {
        if (fail !== undefined) throw fail;
        heard.push(keyText(changedKey(before, after)));
      },
    },
    computedAnew: () => {
      anew++;
      return Promise.resolve();
    },
    computed: ({ recomputed }) => computed.push(recomputed),
    clock,
    log,
    signal,
  });
  await running.ready;
});

afterEach(async () => {
  stop.abort();
  await running.closed;
  await management.close();
});

const verdict = () => running.view()?.profiles.get(key)?.verdict.reason;
const change = (spec: object) => management.cluster.patch(RBACProfile, key, { type: "merge", body: { spec } as never });
/** Lets time pass until something is so. */
const passes = (stepMs: number) => async (value: () => unknown, wanted: unknown) =>
  expect
    .poll(async () => {
      await clock.advance(stepMs);
      return value();
    }, PATIENT)
    .toEqual(wanted);
const soon = passes(100);

describe("startPermissionEngine", () => {
  it("shows nothing before it has seen everything, then follows what changes", async () => {
    expect([verdict(), computed, anew, heard]).toEqual(["ProvisioningComplete", [1], 1, []]);
    await change({ suspend: true });
    await soon(verdict, "Suspended");
    expect(heard).toEqual([`${HOME}/web`]);
    await management.cluster.delete(RBACProfile, key);
    await soon(verdict, undefined);
    await soon(() => computed.length, 3);
    expect(running.view()?.snapshots.get("c1")?.content).toMatchObject({ subjects: [], suspendedPrincipals: [] });
  });

  it("computes nothing for a status, and keeps the newest state of the object all the same", async () => {
    const patch = { status: { provisioned: true } };
    await management.cluster.patch(RBACProfile, key, { type: "merge", body: patch }, { subresource: "status" });
    await soon(() => running.view()?.profiles.get(key)?.object.status?.provisioned, true);
    expect([computed, heard]).toEqual([[1], []]);
  });

  it("joins a burst, and looks at everything again after ten minutes", async () => {
    for (const name of ["a", "b", "c"])
      await management.cluster.create(RBACProfile, profile(HOME, name, { targetClusters: ["c1"] }));
    await soon(() => running.view()?.profiles.size, 4);
    // However the changes fell into computations, each of them was one of one cluster.
    expect(new Set(computed)).toEqual(new Set([1]));
    const before = [...heard];
    const rounds = computed.length;
    await passes(60_000)(() => anew, 2);
    await soon(() => computed.length, rounds + 1);
    expect(computed.at(-1)).toBe(1);
    expect(heard).toEqual(before);
  });

  it("a computation that fails is told, leaves what stands, and is made up for from nothing", async () => {
    fail = new Error("a listener broke");
    await change({ suspend: true });
    await soon(() => errors, ["a listener broke"]);
    const standing = running.view()?.snapshots.get("c1");
    expect(standing).toBeDefined();
    fail = undefined;
    await passes(1_000)(() => anew, 2);
    expect(verdict()).toBe("Suspended");
    expect(running.view()?.snapshots.get("c1")?.content.suspendedPrincipals).toEqual(["system:serviceaccount:web:web"]);
    await change({ suspend: false });
    await soon(verdict, "ProvisioningComplete");
  });
});
