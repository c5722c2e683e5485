import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { type ConnectedCluster, httpCluster } from "../../src/cluster/kubernetes/http-cluster.ts";
import { kubeconfigFor } from "../../src/cluster/serve/kubeconfig.ts";
import { PROCESS_OPTIONS } from "../../src/roles/process-options.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import { startRealApiServer } from "../../test/support/real-api-server.ts";

/** A running API server and how it is looked at. */
export interface MeasuredServer {
  readonly cluster: ConnectedCluster;
  /** Kubeconfig file of an administrator. */
  readonly kubeconfig: string;
  /** From the start of its processes to the first answer, milliseconds. */
  readonly readyMs: number;
  /** Resident memory of all its processes, bytes. */
  rssBytes(): number;
  /** 99th percentile of the event loop's delay since the last question, milliseconds; undefined for a server without one. */
  delayP99Ms(): Promise<number | undefined>;
  close(): Promise<void>;
}

/** Our embedded cluster over REST. */
export async function startEmbedded(): Promise<MeasuredServer> {
  const directory = mkdtempSync(join(tmpdir(), "seam-bench-cluster-"));
  const parts = { clock: systemClock, random: systemRandom, log: silentLog };
  const ca = await CertificateAuthority.create("bench API CA", parts);
  const names = { commonName: "api", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const server = await ca.issue({ kind: "server", ...names });
  const admin = await ca.issue({ kind: "operator", user: "admin", groups: ["system:masters"] });
  for (const [name, text] of [
    ["tls.crt", server.certificatePem],
    ["tls.key", server.privateKeyPem],
    ["ca.crt", ca.certificatePem],
  ] as const)
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  const began = performance.now();
  const child = fork(join(import.meta.dirname, `embedded-server-child${extname(import.meta.filename)}`), [directory], {
    execArgv: ["--disable-warning=ExperimentalWarning", ...PROCESS_OPTIONS.management],
  });
  const { url } = (await answer(child)) as { readonly url: string };
  const pair = { caPem: ca.certificatePem, clientCertPem: admin.certificatePem, clientKeyPem: admin.privateKeyPem };
  const cluster = httpCluster({ server: url, ...pair, userAgent: "bench", ...parts });
  await cluster.discover();
  const readyMs = performance.now() - began;
  const kubeconfig = join(directory, "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigFor([{ name: "bench", server: url, ...pair }]), { mode: 0o600 });
  return {
    cluster,
    kubeconfig,
    readyMs,
    rssBytes: () => rssOf(child.pid ?? 0),
    delayP99Ms: async () => {
      child.send("delay");
      return ((await answer(child)) as { readonly delayP99Ms: number }).delayP99Ms;
    },
    close: async () => {
      await cluster.close();
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The real kube-apiserver on an etcd that syncs every write. */
export async function startReal(assets: string): Promise<MeasuredServer> {
  const began = performance.now();
  const real = await startRealApiServer(assets, { durable: true });
  const readyMs = performance.now() - began;
  return {
    cluster: real.cluster,
    kubeconfig: real.kubeconfig,
    readyMs,
    rssBytes: () => real.pids.reduce((sum, pid) => sum + rssOf(pid), 0),
    delayP99Ms: async () => undefined,
    close: () => real.close(),
  };
}

async function answer(child: ChildProcess): Promise<unknown> {
  const [message]: readonly unknown[] = await once(child, "message");
  return message;
}

/** Resident memory of a process, bytes (Linux). */
function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) * 1024;
}
