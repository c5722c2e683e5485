import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunningCommand, freeOffset, meshUp, seamctl } from "./run-seamctl.ts";

describe("seamctl up", () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-up-"));
  let up: RunningCommand;
  let offset: number;

  beforeAll(async () => {
    offset = await freeOffset();
    up = await meshUp(directory, offset);
  }, 150_000);

  afterAll(async () => {
    await up.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it("prints the fleet and what to try next", async () => {
    const text = await up.printed("Try next:");
    for (const tenant of ["tenant-1", "tenant-2", "tenant-3"]) expect(text).toMatch(new RegExp(`${tenant} +yes`));
    expect(text).toContain("hello-tenant-3");
    expect(text).toContain("nodes simulated");
  });

  it("answers agents, receipts and explain, as tables and as protobuf JSON", async () => {
    const agents = await seamctl("agents", "--dir", directory);
    expect(agents.code).toBe(0);
    expect(agents.stdout).toMatch(/^CLUSTER +CONNECTED +REPLICA +INDEX/);
    const json: unknown = JSON.parse((await seamctl("receipts", "--dir", directory, "-o", "json")).stdout);
    expect(json).toMatchObject({
      receipts: [{ cluster: "tenant-1", name: "hello-tenant-1", verified: true, level: "LEVEL_HEALTHY" }, {}, {}],
    });
    const explained = await seamctl("explain", "tenant-2", "hello", "--dir", directory);
    expect(explained.code).toBe(0);
    for (const step of ["desired", "offered", "received", "verified", "applied", "healthy"])
      expect(explained.stdout).toMatch(new RegExp(`${step} +done`));
  });

  it("answers can-i and who-can from the tenant, with the rule that decides", async () => {
    const account = "system:serviceaccount:hello:hello";
    const target = ["-n", "hello", "--as", account, "--cluster", "tenant-2", "--dir", directory];
    const yes = await seamctl("can-i", "get", "pods", ...target, "--explain");
    expect(yes.stdout).toMatch(/^yes: /);
    expect(yes.stdout).toContain("granted by RBACProfile");
    expect(yes.code).toBe(0);
    const hub = await seamctl("can-i", "get", "pods", ...target, "--hub", "--cluster", "tenant-1");
    expect(hub.stdout).toMatch(/^yes: .*\nanswered by the hub for tenant-1 from what is computed, in snapshot e/);
    const no = await seamctl("can-i", "delete", "pods", ...target);
    expect(no.stdout).toMatch(/^no: /);
    expect(no.code).toBe(1);
    const who = await seamctl("who-can", "get", "pods", "-n", "hello", "--dir", directory);
    expect(who.stdout).toContain("service account");
  });

  it("logs decisions: the hub's log is found, followed and whole", async () => {
    const subject = "system:serviceaccount:hello:audited";
    const asked = await seamctl("can-i", "delete", "pods", "-n", "hello", "--as", subject, "--dir", directory);
    expect(asked.code).toBe(1);
    // Denies leave the tenant within a second, and a tail shows them as they are stored.
    const tail = new RunningCommand(["audit", "tail", "--subject", subject, "--dir", directory]);
    await tail.printed("PRINCIPAL_UNKNOWN");
    tail.process.kill("SIGINT");
    await tail.finished;
    const query = await seamctl(
      "audit",
      "query",
      "--subject",
      subject,
      "--decision",
      "deny",
      "--dir",
      directory,
      "-o",
      "json",
    );
    expect(JSON.parse(query.stdout)).toMatchObject({
      events: [{ cluster: "tenant-1", subject, action: "authz.decision" }],
    });
    const verified = await seamctl("audit", "verify", "--dir", directory);
    expect(verified.code).toBe(0);
    // The log of the management side and those of three tenants.
    expect(verified.stdout.match(/whole$/gm)).toHaveLength(4);
    expect((await seamctl("audit", "query", "--limit", "-1", "--dir", directory)).code).toBe(2);
  });

  it("names what a person got wrong, with the remedy", async () => {
    const texts = [
      [["agents", "tenant-1", "tenant-9"], "cluster tenant-9 is not registered; list those that are: seamctl agents"],
      [["explain", "tenant-9", "hello"], 'cluster "tenant-9": must be a registered TalosCluster with role tenant'],
      [
        ["explain", "tenant-1", "nope"],
        "they are Governance/rbacpolicy-cluster-policy, Governance/rbacprofile-conductor-tenant, Governance/runnerconfig-tenant-1, Governance/taloscluster-tenant-1, PackInstalled/hello-tenant-1, PermissionSnapshot/snapshot-tenant-1",
      ],
      [
        ["pack", "publish", "examples/packs/hello/v2", "--name", "a", "--version", "v1", "--to", "tenant-9"],
        "flag --to: must name registered tenants, found tenant-9",
      ],
      [
        ["pack", "publish", "examples/packs/hello/v2", "--name", "hello", "--version", "v1.0.0", "--to", "all"],
        "PackDelivery seam-system/hello-v1.0.0: is immutable and exists with other content or targets",
      ],
    ] as const;
    for (const [args, text] of texts) {
      const result = await seamctl(...args, "--dir", directory);
      expect(result.stderr).toContain(text);
      expect(result.code).toBe(1);
    }
  });

  it("refuses a second up on the same directory and names the first", async () => {
    const second = await seamctl("up", "--dir", directory, "--port-offset", String(await freeOffset()));
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`pid ${up.process.pid ?? 0}`);
    expect(second.stderr).toContain("--dir");
    const tour = await seamctl("tour", "--dir", directory, "--port-offset", String(await freeOffset()));
    expect(tour.code).toBe(1);
    expect(tour.stderr).toContain(`state directory ${directory}: is used by one "seamctl up" at a time`);
  });

  it("keeps private keys to their owner", () => {
    for (const key of [
      "operator/tls.key",
      "tenants/tenant-1/federation/tls.key",
      "management/trust/signing/private.pem",
      "kubeconfig",
    ]) {
      expect([key, statSync(join(directory, key)).mode & 0o777]).toEqual([key, 0o600]);
    }
  });

  it("starts a killed process again and says so", async () => {
    const pid = Number(readFileSync(join(directory, "run", "tenant-3.pid"), "utf8"));
    process.kill(pid, "SIGKILL");
    const text = await up.printed("tenant-3 started again");
    expect(text).toContain("tenant-3 ended (SIGKILL); starting it again in");
    await up.printed("ready again");
  });

  it("keeps a held process down until it is released, and the others go on", async () => {
    const held = await seamctl("process", "hold", "management", "--dir", directory);
    expect(held.stdout).toContain("management is held");
    await up.printed("waiting: management is held down; the hub does not answer");
    const fleet = await seamctl("agents", "--dir", directory);
    expect(fleet.code).toBe(1);
    expect(fleet.stderr).toMatch(/^seamctl: FleetService at 127\.0\.0\.1:\d+: does not answer \(connect ECONNREFUSED/);
    expect(fleet.stderr).toContain(`start the mesh with: npx seamctl up --dir ${directory}`);
    const account = "system:serviceaccount:hello:hello";
    const asked = await seamctl("can-i", "get", "pods", "-n", "hello", "--as", account, "--dir", directory);
    expect(asked.stdout).toMatch(/^yes: /);
    const { length } = await up.printed("");
    await seamctl("process", "release", "management", "--dir", directory);
    await up.printed("ready again", length);
  });

  it("stops everything within 5 s of Ctrl-C and goes on from the same directory", async () => {
    const stopped = await up.stop();
    expect(stopped.code).toBe(0);
    const [, seconds] = /stopped in (\d+\.\d) s/.exec(stopped.stdout) ?? [];
    expect(Number(seconds)).toBeLessThan(5);
    const again = await seamctl("up", "--dir", directory, "--port-offset", String(offset), "--exit-when-ready");
    expect(again.stderr).toBe("");
    expect(again.code).toBe(0);
    expect(again.stdout).toContain("ready in");
  });
});
