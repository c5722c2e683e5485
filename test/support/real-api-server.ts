import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as elapse } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { type ConnectedCluster, httpCluster } from "../../src/cluster/kubernetes/http-cluster.ts";
import { kubeconfigFor } from "../../src/cluster/serve/kubeconfig.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";

/** A real server is ready after 3 s on an idle machine, and later on a busy one. */
const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 15_000;

/** Folder with `kube-apiserver` and `etcd` by the convention of controller-runtime's envtest; undefined when there is none. */
export function realServerAssets(): string | undefined {
  const folder = process.env["KUBEBUILDER_ASSETS"];
  const complete = folder !== undefined && ["kube-apiserver", "etcd"].every((name) => existsSync(join(folder, name)));
  return complete ? folder : undefined;
}

/** A kube-apiserver on an etcd of its own. */
export interface RealApiServer {
  readonly url: string;
  readonly kubeconfig: string;
  /** Process ids of kube-apiserver and etcd. */
  readonly pids: readonly number[];
  /** A client of group system:masters. */
  readonly cluster: ConnectedCluster;
  /** A client of anybody else, by certificate; closed with the server. */
  client(user: string, groups: readonly string[]): Promise<ConnectedCluster>;
  close(): Promise<void>;
}

/** What a real server is started with. */
export interface RealApiServerOptions {
  /** Text of an AuthorizationConfiguration, or the flags of API servers before it. Default: RBAC alone. */
  readonly authorization?: string | readonly string[];
  /** etcd syncs every write to the disk, as in production; default: it does not, which is faster. */
  readonly durable?: boolean;
}

/** Starts etcd and kube-apiserver on free ports of the loopback address, without any controller. */
export async function startRealApiServer(assets: string, options: RealApiServerOptions = {}): Promise<RealApiServer> {
  const directory = await mkdtemp(join(tmpdir(), "seam-real-api-"));
  const parts = { clock: systemClock, random: systemRandom, log: silentLog };
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const ca = await CertificateAuthority.create("real API CA", parts);
  const serving = await ca.issue({
    kind: "server",
    commonName: "kube-apiserver",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const admin = await ca.issue({ kind: "operator", user: "admin", groups: ["system:masters"] });
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const accountKey = await file("sa.key", privateKey.export({ type: "pkcs1", format: "pem" }).toString());
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const etcd = await start(directory, join(assets, "etcd"), [
    `--data-dir=${join(directory, "etcd")}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    ...(options.durable === true ? [] : ["--unsafe-no-fsync"]),
  ]);
  const caFile = await file("ca.crt", ca.certificatePem);
  const server = await start(directory, join(assets, "kube-apiserver"), [
    `--etcd-servers=${etcdUrl}`,
    `--secure-port=${port}`,
    "--bind-address=127.0.0.1",
    `--cert-dir=${join(directory, "certs")}`,
    `--tls-cert-file=${await file("tls.crt", serving.certificatePem)}`,
    `--tls-private-key-file=${await file("tls.key", serving.privateKeyPem)}`,
    `--client-ca-file=${caFile}`,
    `--service-account-key-file=${accountKey}`,
    `--service-account-signing-key-file=${accountKey}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    ...(typeof options.authorization === "string"
      ? [`--authorization-config=${await file("authorization.yaml", options.authorization)}`]
      : (options.authorization ?? ["--authorization-mode=RBAC"])),
    "--service-cluster-ip-range=10.96.0.0/16",
    "--disable-admission-plugins=ServiceAccount",
    "--allow-privileged",
  ]);
  const url = `https://127.0.0.1:${port}`;
  const pair = { caPem: ca.certificatePem, clientCertPem: admin.certificatePem, clientKeyPem: admin.privateKeyPem };
  const kubeconfig = await file("kubeconfig", kubeconfigFor([{ name: "real", server: url, ...pair }]));
  const cluster = httpCluster({ server: url, ...pair, ...parts });
  const clients: ConnectedCluster[] = [];
  const client = async (user: string, groups: readonly string[]): Promise<ConnectedCluster> => {
    const issued = await ca.issue({ kind: "operator", user, groups });
    const own = { clientCertPem: issued.certificatePem, clientKeyPem: issued.privateKeyPem };
    const made = httpCluster({ server: url, caPem: ca.certificatePem, ...own, ...parts });
    clients.push(made);
    return made;
  };
  const close = async (): Promise<void> => {
    await Promise.all([cluster, ...clients].map((each) => each.close()));
    await stop(server);
    await stop(etcd);
    await rm(directory, { recursive: true, force: true });
  };
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    try {
      await cluster.get(
        { group: "", version: "v1", resource: "namespaces", kind: "Namespace", namespaced: false },
        { name: "default" },
      );
      const pids = [server.pid, etcd.pid].filter((pid) => pid !== undefined);
      return { url, kubeconfig, pids, cluster, client, close };
    } catch (error) {
      if (performance.now() < deadline && server.exitCode === null) {
        await elapse(200); // not listening yet, or still making its first objects
        continue;
      }
      const log = await readFile(join(directory, "kube-apiserver.log"), "utf8");
      await close();
      throw new Error(`kube-apiserver is not ready: ${log.slice(-2000)}`, { cause: error });
    }
  }
}

async function start(directory: string, program: string, args: readonly string[]): Promise<ChildProcess> {
  const log = await open(join(directory, `${program.slice(program.lastIndexOf("/") + 1)}.log`), "a");
  const child = spawn(program, args, { stdio: ["ignore", log.fd, log.fd] });
  child.once("exit", () => void log.close());
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
  await exited;
  clearTimeout(killer);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
