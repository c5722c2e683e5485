import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap } from "../../../src/api/builtin.ts";
import { type Revocation, RevocationSchema } from "../../../src/api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { PackReceipt } from "../../../src/api/kinds/pack-receipt.ts";
import { NAMESPACES } from "../../../src/api/names.ts";
import { fromJsonString } from "@bufbuild/protobuf";
import { freeOffset, seamctl } from "../../e2e/run-seamctl.ts";
import { MeshProcess, until } from "../../support/mesh-process.ts";

/** How long a tenant of this mesh decides without the hub, seconds. */
const MAX_OFFLINE_SECONDS = 8;
const DENIED = { namespace: NAMESPACES.ont, name: "federation-denied" };

describe("revocation on a running mesh", () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-revoke-"));
  const dir = join(directory, "mesh");
  let mesh: MeshProcess;

  beforeAll(async () => {
    mesh = new MeshProcess({
      directory: dir,
      tenants: 2,
      portOffset: await freeOffset(),
      env: {
        PERMISSION_SNAPSHOT_FRESHNESS_WINDOW: "2",
        PERMISSION_SNAPSHOT_MAX_OFFLINE: String(MAX_OFFLINE_SECONDS),
      },
    });
    mesh.start();
    await mesh.ready();
  }, 90_000);
  afterAll(async () => {
    await mesh.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const show = async (id: string): Promise<Revocation> => {
    const { stdout } = await seamctl("revoke", "show", id, "--dir", dir, "-o", "json");
    return fromJsonString(RevocationSchema, stdout);
  };
  const decision = async (cluster: string): Promise<string> => {
    const args = [
      "can-i",
      "get",
      "configmaps",
      "-n",
      "hello",
      "--as",
      "system:serviceaccount:hello:hello",
      "--explain",
    ];
    const { stdout, stderr } = await seamctl(...args, "--cluster", cluster, "--dir", dir);
    return stdout + stderr;
  };

  it("takes effect on connected agents before the command ends, survives kill -9 of the hub, and the receipt says so", async () => {
    const ordered = await seamctl(
      "revoke",
      "pack",
      "hello",
      "--reason",
      "CVE",
      "--id",
      "r-pack",
      "--wait",
      "20",
      "--dir",
      dir,
    );
    expect(ordered.stdout).toContain("in effect everywhere");
    expect(ordered.stdout).toMatch(/tenant-1 +effective +\d{4}-/);
    expect(ordered.code).toBe(0);
    mesh.signal("management", "SIGKILL");
    await until("the revocation after the hub's restart", 30_000, async () =>
      (await show("r-pack")).complete ? undefined : "not complete",
    );
    const listed = await seamctl("revoke", "list", "--dir", dir);
    expect(listed.stdout).toMatch(/r-pack +Pack hello +2\/2/);
    expect(listed.code).toBe(0);
    // Its floors stand in every index from now on.
    const receipt = await mesh
      .tenant("tenant-1")
      .get(PackReceipt, { namespace: NAMESPACES.ont, name: "hello-tenant-1" });
    expect(receipt.status?.conditions?.find(({ type }) => type === "Revoked")).toMatchObject({ status: "True" });
  }, 60_000);

  it("is bounded on an agent without contact: its process stops deciding by itself at that time", async () => {
    await until("both tenants back", 30_000, async () => {
      const away = (await mesh.agents()).filter(({ connected }) => !connected);
      return away.length === 0 ? undefined : "not connected";
    });
    await mesh.management.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: DENIED,
      data: { clusters: "tenant-2 # by hand\n" },
    });
    await until("tenant-2 cut off", 10_000, async () => {
      const agent = (await mesh.agents()).find(({ cluster }) => cluster === "tenant-2");
      return agent?.connected === false ? undefined : "still connected";
    });
    const ordered = await seamctl(
      "revoke",
      "snapshot",
      "tenant-2",
      "--reason",
      "wrong grants",
      "--id",
      "r-snap",
      "--wait",
      "0",
      "--dir",
      dir,
    );
    expect(ordered.code).toBe(1);
    expect(ordered.stdout).toMatch(/tenant-2 +offline +- +\d{4}-/);
    expect(ordered.stdout).toContain("1 offline and bounded");
    expect(await decision("tenant-2")).not.toMatch(/SNAPSHOT_(EXPIRED|REVOKED)/);
    const boundedAt = (await show("r-snap")).progress[0]?.boundedAt;
    await until("the end of its snapshot", 30_000, async () => {
      const answer = await decision("tenant-2");
      return answer.includes("SNAPSHOT_EXPIRED") ? undefined : answer;
    });
    // What the tenant did by its own clock is never later than what the hub promised.
    await until("the end at the hub", 15_000, async () => ((await show("r-snap")).complete ? undefined : "offline"));
    const ended = await show("r-snap");
    expect(ended.progress[0]).toMatchObject({ cluster: "tenant-2", state: 6, boundedAt });
    expect(await decision("tenant-1")).not.toContain("SNAPSHOT_EXPIRED");

    await mesh.management.delete(ConfigMap, DENIED);
    await until("tenant-2 back, with a snapshot above the floor", 60_000, async () => {
      if ((await show("r-snap")).progress[0]?.state !== 3) return "not effective";
      const answer = await decision("tenant-2");
      return /SNAPSHOT_(EXPIRED|REVOKED)/.test(answer) ? answer : undefined;
    });
  }, 120_000);
});
