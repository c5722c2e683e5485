import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunningCommand, seamctl } from "./run-seamctl.ts";

/** Shifts every port of this file's mesh away from a mesh that a person may be running. */
const OFFSET = "2300";

describe("seamctl up", () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-up-"));
  let up: RunningCommand;

  beforeAll(async () => {
    up = new RunningCommand(["up", "--dir", directory, "--port-offset", OFFSET]);
    await up.printed("ready in");
  }, 150_000);

  afterAll(async () => {
    up.process.kill("SIGKILL");
    await up.finished;
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
    expect(agents.stdout).toMatch(/^CLUSTER +CONNECTED +INDEX/);
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
    const target = [
      "-n",
      "hello",
      "--as",
      "system:serviceaccount:hello:hello",
      "--cluster",
      "tenant-2",
      "--dir",
      directory,
    ];
    const yes = await seamctl("can-i", "get", "pods", ...target, "--explain");
    expect(yes.stdout).toMatch(/^yes: /);
    expect(yes.stdout).toContain("granted by RBACProfile");
    expect(yes.code).toBe(0);
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
    expect(verified.stdout.match(/whole$/gm)).toHaveLength(3);
    expect((await seamctl("audit", "query", "--limit", "-1", "--dir", directory)).code).toBe(2);
  });

  it("refuses a second up on the same directory and names the first", async () => {
    const second = await seamctl("up", "--dir", directory, "--port-offset", "2400");
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`pid ${up.process.pid ?? 0}`);
    expect(second.stderr).toContain("--dir");
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
    await up.printed("waiting: tenant-3");
  });

  it("stops everything within 5 s of Ctrl-C and goes on from the same directory", async () => {
    up.process.kill("SIGINT");
    const stopped = await up.finished;
    expect(stopped.code).toBe(0);
    const [, seconds] = /stopped in (\d+\.\d) s/.exec(stopped.stdout) ?? [];
    expect(Number(seconds)).toBeLessThan(5);
    const again = await seamctl("up", "--dir", directory, "--port-offset", OFFSET, "--exit-when-ready");
    expect(again.stderr).toBe("");
    expect(again.code).toBe(0);
    expect(again.stdout).toContain("ready in");
  });
});

describe("seamctl up that cannot start", () => {
  it("names a busy port, who wants it and the flag that helps", async () => {
    const directory = mkdtempSync(join(tmpdir(), "seam-busy-"));
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(9443 + 2500, "127.0.0.1", resolve));
    const result = await seamctl("up", "--dir", directory, "--port-offset", "2500");
    await new Promise((resolve) => blocker.close(resolve));
    rmSync(directory, { recursive: true, force: true });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("port 11943: must be free for the management federation hub");
    expect(result.stderr).toContain("--port-offset");
  });

  it("refuses a state directory of a newer version and leaves it alone", async () => {
    const directory = mkdtempSync(join(tmpdir(), "seam-newer-"));
    writeFileSync(join(directory, "version"), "99\n");
    const result = await seamctl("up", "--dir", directory, "--port-offset", "2600");
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("a newer seamctl wrote it");
    expect(readFileSync(join(directory, "version"), "utf8")).toBe("99\n");
    rmSync(directory, { recursive: true, force: true });
  });

  it("answers wrong usage with exit code 2", async () => {
    expect((await seamctl("up", "--tenants", "0")).code).toBe(2);
    expect((await seamctl("frobnicate")).code).toBe(2);
    expect((await seamctl("can-i", "get", "pods")).code).toBe(2);
  });

  it("says where to find a mesh when there is none", async () => {
    const result = await seamctl("agents", "--dir", join(tmpdir(), "seam-no-such-mesh"));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("holds no mesh; start one with `npm start`");
  });
});
