import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PermissionPlane, PLANE_PATIENCE, openPermissionPlane } from "../../../test/support/permission-plane.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { ManualClock, systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { trimmedGrants } from "../../permissions/decision/trimmed-grants.ts";
import type { LiveCluster } from "../../permissions/fleet/live-permissions.ts";
import { followPermissions } from "./follow-permissions.ts";
import { IDLE_MS, LiveFleet } from "./live-fleet.ts";

const API = "guardian.ontai.dev/v1alpha1" as const;
const tenant1 = "seam-tenant-tenant-1";
const settings = { managementCluster: "management-1" };
let plane: PermissionPlane;

async function declare(name: string, verbs: readonly string[]): Promise<void> {
  await plane.permissionSet(name, verbs, tenant1);
  await plane.profile(
    name,
    {
      principalRef: name,
      targetClusters: ["tenant-1"],
      rbacPolicyRef: "cluster-policy",
      permissionDeclarations: [{ permissionSetRef: name, scope: "cluster" }],
    },
    tenant1,
  );
}

/** A replica of the hub, as far as it answers. */
function replica(clock = systemClock) {
  const stop = new AbortController();
  let following = 0;
  const live = new LiveFleet({
    follow: (signal) => {
      following++;
      const random = new SeededRandom(1);
      return followPermissions({
        cluster: plane.cluster,
        settings,
        clock: systemClock,
        random,
        log: silentLog,
        signal,
      });
    },
    clock,
    signal: stop.signal,
  });
  return {
    live,
    following: () => following,
    async close() {
      stop.abort();
      await live.closed;
    },
  };
}

/** Content hash, and whether it is published. */
function shown(live: LiveCluster): readonly [string, boolean] {
  if (live.state !== "computed") return [live.state, false];
  return [live.content.contentHash, live.published?.contentHash === live.content.contentHash];
}

/** Who has grants. */
function granted(live: LiveCluster): readonly string[] {
  return live.state === "computed" ? live.content.content.subjects.map(({ name }) => name) : [];
}

const published = async (): Promise<string> =>
  (await plane.cluster.get(PermissionSnapshot, { namespace: "seam-system", name: "snapshot-tenant-1" })).spec
    .contentHash ?? "";

beforeAll(async () => {
  plane = await openPermissionPlane({
    tenants: ["tenant-1", "tenant-2"],
    before: async ({ cluster }) => {
      await cluster.create(PermissionSet, {
        apiVersion: API,
        kind: "PermissionSet",
        metadata: { namespace: "seam-system", name: "management-maximum" },
        spec: { permissions: [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }] },
      });
    },
  });
});

afterAll(() => plane.close());

describe("LiveFleet", () => {
  it("answers on a replica that does not lead by the graph of the one that does, computed from its own caches", async () => {
    const leader = replica();
    const other = replica();
    const stop = new AbortController();
    try {
      leader.live.lead(plane.source(), stop.signal);
      await expect.poll(() => other.live.of("tenant-1").state, PLANE_PATIENCE).toBe("computed");
      await declare("ada", ["get"]);
      await expect.poll(() => shown(leader.live.of("tenant-1"))[1], PLANE_PATIENCE).toBe(true);
      await expect
        .poll(async () => shown(leader.live.of("tenant-1"))[0] === (await published()), PLANE_PATIENCE)
        .toBe(true);
      await expect
        .poll(() => shown(other.live.of("tenant-1")), PLANE_PATIENCE)
        .toEqual(shown(leader.live.of("tenant-1")));
      expect([leader.following(), other.following()]).toEqual([0, 1]);
      expect(other.live.of("nowhere").state).toBe("unknown");
      // Nothing is evaluated from a snapshot on the management cluster.
      expect(other.live.of("management-1").state).toBe("unknown");
    } finally {
      stop.abort();
      await Promise.all([leader.close(), other.close()]);
    }
  });

  it("tells whoever listens of content, of its publication and of a cluster that goes and comes", async () => {
    const leader = replica();
    const stop = new AbortController();
    const heard: string[] = [];
    try {
      leader.live.lead(plane.source(), stop.signal);
      await expect.poll(() => leader.live.of("tenant-2").state, PLANE_PATIENCE).toBe("computed");
      leader.live.subscribe((cluster) => {
        if (cluster === "tenant-2") heard.push(shown(leader.live.of("tenant-2")).join(" "));
      });
      await plane.cluster.delete(TalosCluster, { namespace: "seam-tenant-tenant-2", name: "tenant-2" });
      await expect.poll(() => leader.live.of("tenant-2").state, PLANE_PATIENCE).toBe("unknown");
      expect(heard.at(-1)).toBe("unknown false");
      const names = async () => (await plane.cluster.list(TalosCluster, {})).items.map(({ metadata }) => metadata.name);
      await expect.poll(names, PLANE_PATIENCE).toEqual(["tenant-1"]);
      await plane.cluster.create(TalosCluster, {
        apiVersion: "seam.ontai.dev/v1alpha1",
        kind: "TalosCluster",
        metadata: { namespace: "seam-tenant-tenant-2", name: "tenant-2" },
        spec: { mode: "import", role: "tenant" },
      });
      await expect.poll(() => heard.at(-1)?.endsWith(" true"), PLANE_PATIENCE).toBe(true);
    } finally {
      stop.abort();
      await leader.close();
    }
  });

  it("goes on by its own graph when the signers stop here, and back to theirs when they run again", async () => {
    const both = replica();
    const first = new AbortController();
    both.live.lead(plane.source(), first.signal);
    await expect.poll(() => granted(both.live.of("tenant-1")), PLANE_PATIENCE).toContain("ada");
    await expect.poll(() => shown(both.live.of("tenant-1"))[1], PLANE_PATIENCE).toBe(true);
    const before = shown(both.live.of("tenant-1"));
    first.abort();
    await plane.stop();
    expect(both.live.of("tenant-1").state).toBe("waiting");
    await expect.poll(() => shown(both.live.of("tenant-1")), PLANE_PATIENCE).toEqual(before);
    expect(both.following()).toBe(1);
    await declare("bob", ["list"]);
    // Computed, and nobody is there to publish it.
    await expect.poll(() => granted(both.live.of("tenant-1")), PLANE_PATIENCE).toContain("bob");
    expect(shown(both.live.of("tenant-1"))[1]).toBe(false);
    await plane.restart();
    const second = new AbortController();
    both.live.lead(plane.source(), second.signal);
    await expect.poll(() => shown(both.live.of("tenant-1"))[1], PLANE_PATIENCE).toBe(true);
    second.abort();
    await both.close();
  });

  it("lets its own graph go when nobody asks", async () => {
    const clock = new ManualClock();
    const idle = replica(clock);
    const listeners: (string | undefined)[] = [];
    idle.live.subscribe((cluster) => listeners.push(cluster));
    await expect.poll(() => idle.live.of("tenant-1").state, PLANE_PATIENCE).toBe("computed");
    await clock.advance(IDLE_MS);
    expect(listeners.at(-1)).toBeUndefined();
    expect(idle.live.of("tenant-1").state).toBe("waiting");
    expect(idle.following()).toBe(2);
    await idle.close();
  });

  it("knows what a ceiling took, by its name", async () => {
    const leader = replica();
    const stop = new AbortController();
    leader.live.lead(plane.source(), stop.signal);
    await declare("carol", ["get", "delete"]);
    const request = {
      form: "resource",
      verb: "delete",
      apiGroup: "",
      resource: "pods",
      subresource: "",
      name: "",
      namespace: "",
    } as const;
    const of = (user: string, verb: string) =>
      trimmedGrants(leader.live.declared("tenant-1"), { user, groups: [] }, { ...request, verb }, systemClock.now());
    await expect
      .poll(() => of("carol", "delete").map(({ failed, detail }) => [failed, detail]), PLANE_PATIENCE)
      .toEqual([
        [
          ["TRIMMED_BY_CEILING"],
          "not covered by PermissionSet seam-tenant-tenant-1/cluster-maximum and seam-system/management-maximum",
        ],
      ]);
    expect(of("carol", "get")).toEqual([]);
    expect(of("carol", "watch")).toEqual([]);
    expect(of("ada", "delete")).toEqual([]);
    expect([...leader.live.declared("nowhere")]).toEqual([]);
    stop.abort();
    await leader.close();
  });
});
