import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FleetSide, computedContent, openFleetSide } from "../../../test/support/fleet-side.ts";
import { grpcFailure } from "../../../test/support/grpc-failure.ts";
import {
  type PermissionClient,
  SUBJECTS,
  contractContent,
  permissionContract,
  pods,
  subject,
} from "../../../test/support/permission-contract.ts";
import { Consistency_Mode, DecisionCode, Freshness } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { Status } from "../../api/grpc/status-error.ts";
import { ManualClock } from "../../base/clock.ts";
import type { SnapshotContent } from "../snapshot/content.ts";
import { OPEN_WAIT_MS } from "./fleet-permissions.ts";

const PATIENCE = { timeout: 20_000, interval: 10 };

permissionContract("PermissionService of the management side, by the contract", async () => {
  const side = await openFleetSide();
  // Registered, and nothing computed: not so soon either.
  side.live.set("tenant-1", { state: "waiting" });
  let version = "";
  return {
    cluster: "tenant-1",
    events: side.events,
    activate(content) {
      version = side.live.activate(content);
      return Promise.resolve();
    },
    version: () => version,
    sequence: () => side.live.sequence,
    clientOf: side.clientOf,
    close: side.close,
  };
});

describe("FleetPermissions", () => {
  const listPods = { principal: "alice", resource: "pods", verb: "list" };
  const of = (cluster: string, subjects = SUBJECTS): SnapshotContent => ({
    ...contractContent(subjects),
    targetCluster: cluster,
  });
  let side: FleetSide;
  let operator: PermissionClient;

  beforeAll(async () => {
    side = await openFleetSide({ maxClusters: 2 });
    operator = await side.clientOf("ops", ["seam:operators"]);
  });

  afterAll(() => side.close());

  it("answers by what is computed before it is published, and says so; then by the version that contains it", async () => {
    side.live.compute(of("a"));
    const first = await operator.checkPermission({ cluster: "a", ...listPods });
    expect(first).toMatchObject({
      allowed: true,
      meta: { pending: true, snapshotVersion: "", epoch: 0n, sequence: 0n, consistencyToken: "" },
    });
    expect(first.meta?.contentHash).toBe(computedContent(of("a")).contentHash);
    const version = side.live.publish("a");
    const { meta } = await operator.checkPermission({ cluster: "a", ...listPods });
    expect(meta).toMatchObject({ pending: false, snapshotVersion: version, contentHash: first.meta?.contentHash });
    side.live.compute(of("a", []));
    const after = await operator.checkPermission({ cluster: "a", ...listPods });
    expect(after).toMatchObject({
      allowed: false,
      code: DecisionCode.PRINCIPAL_UNKNOWN,
      meta: { pending: true, snapshotVersion: "" },
    });
    // What was published is in it, whatever its own version will be.
    const atLeast = { mode: Consistency_Mode.AT_LEAST_AS_FRESH, token: meta?.consistencyToken ?? "" };
    expect((await operator.checkPermission({ cluster: "a", ...listPods, consistency: atLeast })).code).toBe(
      DecisionCode.PRINCIPAL_UNKNOWN,
    );
  });

  it("keeps a list on its page while what it lists is published", async () => {
    side.live.compute(of("a", [...SUBJECTS, subject("bob", pods.id)]));
    const first = await operator.listPermissions({ cluster: "a", principal: "alice", pageSize: 2 });
    expect([first.rules.length, first.meta?.pending]).toEqual([2, true]);
    side.live.publish("a");
    const pageToken = first.nextPageToken;
    const second = await operator.listPermissions({ cluster: "a", principal: "alice", pageSize: 2, pageToken });
    expect([second.rules.length, second.meta?.pending]).toEqual([1, false]);
  });

  it("wants to know of which cluster, and knows those that are registered", async () => {
    const none = await grpcFailure(operator.checkPermission(listPods));
    expect([none.code, none.message]).toEqual([
      Status.INVALID_ARGUMENT,
      "CheckPermission: cluster: is required; name it",
    ]);
    const unknown = await operator.checkPermission({ cluster: "nowhere", ...listPods });
    expect(unknown).toMatchObject({
      allowed: false,
      code: DecisionCode.CLUSTER_NOT_SERVED,
      reason: "no cluster nowhere is registered with this management cluster",
    });
    const status = await grpcFailure(operator.getStatus({ cluster: "nowhere" }));
    expect(status.code).toBe(Status.NOT_FOUND);
    const held = side.fleet.held;
    for (let i = 0; i < 50; i++) await operator.checkPermission({ cluster: `made-up-${i}`, ...listPods });
    expect(side.fleet.held).toBe(held);
  });

  it("forgets a cluster that is deleted, and knows it again when it is back", async () => {
    side.live.compute(of("a"));
    expect((await operator.checkPermission({ cluster: "a", ...listPods })).allowed).toBe(true);
    side.live.set("a", { state: "unknown" });
    expect((await operator.checkPermission({ cluster: "a", ...listPods })).code).toBe(DecisionCode.CLUSTER_NOT_SERVED);
    side.live.compute(of("a"));
    expect((await operator.checkPermission({ cluster: "a", ...listPods })).allowed).toBe(true);
  });

  it("waits for what is about to be computed; says so when that takes too long, and never answers by what was before", async () => {
    const clock = new ManualClock();
    const slow = await openFleetSide({ clock });
    try {
      const asking = await slow.clientOf("ops", ["seam:operators"]);
      slow.live.set("b", { state: "waiting" });
      const answer = asking.checkPermission({ cluster: "b", ...listPods });
      await expect.poll(() => clock.sleeping, PATIENCE).toBe(1);
      slow.live.compute(of("b"));
      expect((await answer).allowed).toBe(true);
      slow.live.set("b", { state: "waiting" });
      const late = asking.checkPermission({ cluster: "b", ...listPods });
      await expect.poll(() => clock.sleeping, PATIENCE).toBe(1);
      await clock.advance(OPEN_WAIT_MS);
      expect(await late).toMatchObject({
        allowed: false,
        code: DecisionCode.SNAPSHOT_NOT_LOADED,
        reason: "the permissions of the fleet are being computed on this replica; ask again in a moment",
        meta: { freshness: Freshness.NOT_READY },
      });
    } finally {
      await slow.close();
    }
  });

  it("holds no more clusters than its bound, the last asked ones, and answers for all of them", async () => {
    for (const cluster of ["a", "b", "c", "d", "a", "c"]) {
      side.live.compute(of(cluster));
      expect((await operator.checkPermission({ cluster, ...listPods })).allowed).toBe(true);
      expect(side.fleet.held).toBeLessThanOrEqual(2);
    }
    const tight = await openFleetSide({ maxBytes: 1 });
    const asking = await tight.clientOf("ops", ["seam:operators"]);
    for (const cluster of ["a", "b", "c"]) {
      tight.live.compute(of(cluster));
      expect((await asking.checkPermission({ cluster, ...listPods })).allowed).toBe(true);
      expect(tight.fleet.held).toBe(1);
    }
    await tight.close();
  });

  it("keeps what is followed, tells it every change, and refuses a further cluster when all are followed", async () => {
    const end = new AbortController();
    const seen: string[] = [];
    const follow = async (cluster: string): Promise<void> => {
      try {
        for await (const { meta, changedPrincipals } of operator.watchSnapshot({ cluster }, { signal: end.signal }))
          seen.push(
            `${cluster} ${meta?.pending === true ? "pending" : meta?.snapshotVersion} ${changedPrincipals.join()}`,
          );
      } catch (error) {
        if (!end.signal.aborted) throw error; // ending the watch is how the test stops it
      }
    };
    side.live.compute(of("e"));
    side.live.compute(of("f"));
    const following = [follow("e"), follow("f")];
    await expect.poll(() => [...seen].sort(), PATIENCE).toEqual(["e pending ", "f pending "]);
    side.live.compute(of("g"));
    const full = await operator.checkPermission({ cluster: "g", ...listPods });
    expect([full.code, full.reason]).toEqual([
      DecisionCode.SNAPSHOT_NOT_LOADED,
      "as many clusters as this replica holds are being watched; ask another replica, or the tenant itself",
    ]);
    seen.length = 0;
    side.live.compute(of("e", [...SUBJECTS, subject("bob", pods.id)]));
    await expect.poll(() => seen, PATIENCE).toEqual(["e pending bob"]);
    const version = side.live.publish("e");
    await expect.poll(() => seen, PATIENCE).toEqual(["e pending bob", `e ${version} `]);
    end.abort();
    await Promise.all(following);
    await expect
      .poll(async () => (await operator.checkPermission({ cluster: "g", ...listPods })).allowed, PATIENCE)
      .toBe(true);
  });

  it("says when what is computed is something that no tenant would load", async () => {
    const content = contractContent([subject("alice", "rs-00000000000000000000000000000000")]);
    side.live.compute({ ...content, targetCluster: "broken" });
    const answer = await operator.checkPermission({ cluster: "broken", ...listPods });
    expect(answer).toMatchObject({ allowed: false, code: DecisionCode.SNAPSHOT_NOT_LOADED });
    expect(answer.reason).toMatch(/^what is computed for broken is refused by every tenant: INVALID_CONTENT: /);
    side.live.compute(of("broken"));
    expect((await operator.checkPermission({ cluster: "broken", ...listPods })).allowed).toBe(true);
  });

  it("lets nobody without a right ask, by the snapshot of the cluster that is asked about", async () => {
    side.live.compute(of("a"));
    side.live.compute(of("b", SUBJECTS.slice(0, 2)));
    const auditor = await side.clientOf("auditor", []);
    expect((await auditor.checkPermission({ cluster: "a", ...listPods })).allowed).toBe(true);
    expect((await auditor.checkPermission({ cluster: "b", ...listPods })).code).toBe(
      DecisionCode.CALLER_NOT_AUTHORIZED,
    );
    expect((await auditor.whoCanDo({ cluster: "a", resource: "pods", verb: "list" })).code).toBe(
      DecisionCode.CALLER_NOT_AUTHORIZED,
    );
    expect(side.events.at(-1)).toMatchObject({ decision: "deny", caller: "auditor", details: { cluster: "a" } });
  });
});
