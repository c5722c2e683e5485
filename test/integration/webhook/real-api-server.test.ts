import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap, Deployment, Pod, ServiceAccount } from "../../../src/api/builtin.ts";
import { RBACProfile } from "../../../src/api/kinds/rbac-profile.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import type { ResourceType } from "../../../src/api/resource-type.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { errorMessage } from "../../../src/base/errors.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { type ConnectedCluster, httpCluster } from "../../../src/cluster/kubernetes/http-cluster.ts";
import { tokenReviews } from "../../../src/permissions/service/token-review.ts";
import { MeshLayout } from "../../../src/roles/mesh/layout.ts";
import { managementPorts, tenantPorts } from "../../../src/roles/mesh/ports.ts";
import { RunningCommand, seamctl } from "../../e2e/run-seamctl.ts";
import { type RealApiServer, realServerAssets, startRealApiServer } from "../../support/real-api-server.ts";

const assets = realServerAssets();
/** Shifts every port of this file's mesh away from others. */
const OFFSET = 2_850;
const WORKLOAD = "system:serviceaccount:hello:hello";
/** Verdicts are kept by the API server for this long, seconds: short, so that a change is seen. */
const CACHE_SECONDS = 1;
const WITHIN_MS = 20_000;

/** RBAC first, which here knows nobody but system:masters; then the tenant. */
function authorization(kubeconfig: string): string {
  return JSON.stringify({
    apiVersion: "apiserver.config.k8s.io/v1",
    kind: "AuthorizationConfiguration",
    authorizers: [
      { type: "RBAC", name: "rbac" },
      {
        type: "Webhook",
        name: "seam",
        webhook: {
          connectionInfo: { type: "KubeConfigFile", kubeConfigFile: kubeconfig },
          subjectAccessReviewVersion: "v1",
          matchConditionSubjectAccessReviewVersion: "v1",
          timeout: "3s",
          failurePolicy: "NoOpinion",
          authorizedTTL: `${CACHE_SECONDS}s`,
          unauthorizedTTL: `${CACHE_SECONDS}s`,
        },
      },
    ],
  });
}

/** The same by flags, as API servers before AuthorizationConfiguration take it, and later ones still do. */
function authorizationFlags(kubeconfig: string): readonly string[] {
  return [
    "--authorization-mode=RBAC,Webhook",
    `--authorization-webhook-config-file=${kubeconfig}`,
    "--authorization-webhook-version=v1",
    `--authorization-webhook-cache-authorized-ttl=${CACHE_SECONDS}s`,
    `--authorization-webhook-cache-unauthorized-ttl=${CACHE_SECONDS}s`,
  ];
}

function webhookKubeconfig(port: number, operator: string): string {
  const server = `https://127.0.0.1:${port}/apis/authorization.k8s.io/v1/subjectaccessreviews`;
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "seam", cluster: { server, "certificate-authority": join(operator, "ca.crt") } }],
    users: [
      {
        name: "api-server",
        user: { "client-certificate": join(operator, "tls.crt"), "client-key": join(operator, "tls.key") },
      },
    ],
    contexts: [{ name: "seam", context: { cluster: "seam", user: "api-server" } }],
    "current-context": "seam",
  });
}

/** `yes`, or what the API server refuses with. */
async function asked(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "yes";
  } catch (error) {
    return errorMessage(error);
  }
}

async function eventually(look: () => Promise<string>, wanted: RegExp): Promise<void> {
  const deadline = systemClock.monotonic() + WITHIN_MS;
  for (;;) {
    const found = await look();
    if (wanted.test(found)) return;
    if (systemClock.monotonic() > deadline) throw new Error(`not ${String(wanted)} within ${WITHIN_MS} ms: ${found}`);
    await systemClock.sleep(100);
  }
}

// Skipped without kube-apiserver and etcd: KUBEBUILDER_ASSETS names their folder (.ci/real-parts builds them).
describe.skipIf(assets === undefined)("a real API server whose authorizer is a tenant", () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-webhook-"));
  const layout = new MeshLayout(directory);
  let up: RunningCommand;
  let real: RealApiServer;
  /** By how it was told of the tenant. */
  const servers = new Map<string, { readonly server: RealApiServer; readonly workload: ConnectedCluster }>();
  const list = (type: ResourceType<KubeObject>, who: ConnectedCluster): Promise<string> =>
    asked(who.list(type, { namespace: "hello" }));
  const remove = (who: ConnectedCluster): Promise<string> => asked(who.delete(Pod, { namespace: "hello", name: "x" }));
  /** Asks both servers: they must say the same. */
  const each = async (look: (workload: ConnectedCluster, server: RealApiServer) => Promise<void>): Promise<void> => {
    expect([...servers.keys()]).toEqual(["--authorization-config", "--authorization-webhook-config-file"]);
    for (const { server, workload } of servers.values()) await look(workload, server);
  };

  beforeAll(async () => {
    up = new RunningCommand(["up", "--dir", directory, "--tenants", "1", "--port-offset", String(OFFSET)]);
    await up.printed("ready in");
    const kubeconfig = join(directory, "webhook.kubeconfig");
    const operator = join(layout.tenant("tenant-1"), "operator");
    writeFileSync(kubeconfig, webhookKubeconfig(tenantPorts(1, OFFSET).webhook, operator));
    const forms = [
      ["--authorization-config", authorization(kubeconfig)],
      ["--authorization-webhook-config-file", authorizationFlags(kubeconfig)],
    ] as const;
    for (const [form, told] of forms) {
      const server = await startRealApiServer(assets ?? "", { authorization: told });
      real ??= server;
      servers.set(form, { server, workload: await server.client(WORKLOAD, []) });
    }
  }, 240_000);

  afterAll(async () => {
    await Promise.all([...servers.values()].map(({ server }) => server.close()));
    up?.process.kill("SIGINT");
    await up?.finished;
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  it("answers its users by the snapshot", () =>
    each(async (workload, server) => {
      expect(await list(Pod, workload)).toBe("yes");
      expect(await list(Deployment, workload)).toBe("yes");
      expect(await asked(workload.list(Pod, { namespace: "default" }))).toMatch(/forbidden/);
      expect(await remove(workload)).toMatch(/forbidden.*NO_MATCHING_RULE/);
      const stranger = await server.client("mallory", ["dev"]);
      expect(await list(Pod, stranger)).toMatch(/forbidden.*PRINCIPAL_UNKNOWN/);
    }));

  it("goes on with the hub down", async () => {
    expect((await seamctl("process", "hold", "management", "--dir", directory)).code).toBe(0);
    await eventually(() => Promise.resolve(existsSync(layout.pid("management")) ? "up" : "down"), /down/);
    // Beyond what the API server may remember.
    await systemClock.sleep(CACHE_SECONDS * 1_500);
    await each(async (workload) => {
      expect(await list(Pod, workload)).toBe("yes");
      expect(await list(ConfigMap, workload)).toBe("yes");
      expect(await remove(workload)).toMatch(/NO_MATCHING_RULE/);
    });
    expect((await seamctl("process", "release", "management", "--dir", directory)).code).toBe(0);
  });

  it("denies what a new snapshot takes away, with the hub back", async () => {
    const pem = (name: string): string => readFileSync(join(layout.operator, name), "utf8");
    const management = httpCluster({
      server: `https://127.0.0.1:${managementPorts(OFFSET).api}`,
      caPem: pem("ca.crt"),
      clientCertPem: pem("tls.crt"),
      clientKeyPem: pem("tls.key"),
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
    const removal = { namespace: "seam-system", name: "hello" };
    await eventually(() => asked(management.delete(RBACProfile, removal)), /^yes|not found/);
    await management.close();
    await each((workload) => eventually(() => list(Pod, workload), /forbidden.*PRINCIPAL_UNKNOWN/));
  });

  it("invariant 12: grants nothing when the tenant is down, and takes nothing from RBAC", async () => {
    expect((await seamctl("process", "hold", "tenant-1", "--dir", directory)).code).toBe(0);
    await eventually(() => Promise.resolve(existsSync(layout.pid("tenant-1")) ? "up" : "down"), /down/);
    await systemClock.sleep(CACHE_SECONDS * 1_500);
    await each(async (workload, server) => {
      expect(await list(Pod, workload)).toMatch(/connection refused/);
      expect(await list(Pod, server.cluster)).toBe("yes");
    });
  });

  it.skipIf(!existsSync(join(assets ?? "", "kubectl")))("reviews the tokens it issued", async () => {
    const account = { namespace: "default", name: "reader" };
    await real.cluster.create(ServiceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata: account });
    const args = ["--kubeconfig", real.kubeconfig, "create", "token", account.name, "-n", account.namespace];
    const issued = (await promisify(execFile)(join(assets ?? "", "kubectl"), args)).stdout.trim();
    const authenticate = tokenReviews({ cluster: real.cluster, clock: systemClock, log: silentLog });
    expect(await authenticate(issued)).toMatchObject({
      ok: true,
      principal: {
        name: "system:serviceaccount:default:reader",
        groups: expect.arrayContaining(["system:serviceaccounts"]) as string[],
      },
    });
    expect(await authenticate(`${issued}x`)).toMatchObject({ ok: false, reason: "TokenRefused" });
  });
});
