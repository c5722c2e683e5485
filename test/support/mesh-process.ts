import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Agent,
  type DriftSignalView,
  FleetService,
  type Receipt,
  ReceiptService,
  RevocationService,
} from "../../src/api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { PermissionService } from "../../src/api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { type GrpcClient, createGrpcClient } from "../../src/api/grpc/client.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { type ConnectedCluster, httpCluster } from "../../src/cluster/kubernetes/http-cluster.ts";
import { MeshLayout } from "../../src/roles/mesh/layout.ts";
import { managementPorts, tenantPorts } from "../../src/roles/mesh/ports.ts";
import { clientCredentials } from "../../src/trust/tls/client-credentials.ts";

const SEAMCTL = fileURLToPath(new URL("../../src/bin/seamctl.ts", import.meta.url));
/** The hub may be down on purpose: look again soon. */
const IMPATIENT = {
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 300,
  "grpc.min_reconnect_backoff_ms": 100,
};
const POLL_MS = 100;

/** What a mesh of child processes is started with. */
export interface MeshProcessOptions {
  readonly directory: string;
  readonly tenants: number;
  readonly portOffset: number;
  /** The example pack and permissions. Default: yes. */
  readonly example?: boolean;
  /** More variables for `up`, which keeps few of them for its children. */
  readonly env?: Readonly<Record<string, string>>;
}

/** `seamctl up` as a child process, with clients of everything a person has, and ways to hurt it. */
export class MeshProcess {
  readonly layout: MeshLayout;
  readonly tenants: readonly string[];
  readonly #options: MeshProcessOptions;
  readonly #clients: { close(): unknown }[] = [];
  readonly #clusters = new Map<string, ConnectedCluster>();
  readonly #permissions = new Map<string, GrpcClient<typeof PermissionService>>();
  #fleet: GrpcClient<typeof FleetService> | undefined;
  #receipts: GrpcClient<typeof ReceiptService> | undefined;
  #revocations: GrpcClient<typeof RevocationService> | undefined;
  #up: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #output = "";

  constructor(options: MeshProcessOptions) {
    this.#options = options;
    this.layout = new MeshLayout(options.directory);
    this.tenants = Array.from({ length: options.tenants }, (_, at) => `tenant-${at + 1}`);
  }

  /** What `up` has printed, both streams. */
  get output(): string {
    return this.#output;
  }

  /** Pid of `up`; undefined when it does not run. */
  get upPid(): number | undefined {
    return this.#up?.exitCode === null && this.#up.signalCode === null ? this.#up.pid : undefined;
  }

  /** Starts `up`; does not wait. */
  start(): void {
    const { directory, tenants, portOffset, example, env } = this.#options;
    const args = ["up", "--dir", directory, "--tenants", String(tenants), "--port-offset", String(portOffset)];
    if (example === false) args.push("--no-example");
    const up = spawn(process.execPath, [SEAMCTL, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.#up = up;
    for (const stream of [up.stdout, up.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-100_000);
      });
    }
    this.#ended = new Promise((resolve) => {
      up.once("close", () => resolve());
    });
  }

  /** Resolves when `up` has ended; its exit code is null when a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#ended;
    return this.#up?.exitCode ?? null;
  }

  /** kill -9 of `up` itself; its children see that it is gone and stop. */
  async killUp(): Promise<void> {
    this.#up?.kill("SIGKILL");
    await this.#ended;
  }

  /** Ctrl-C, and waits until everything has ended. */
  async stop(): Promise<void> {
    this.#up?.kill("SIGINT");
    await this.#ended;
    for (const client of this.#clients.splice(0)) await client.close();
    this.#clusters.clear();
    this.#permissions.clear();
    this.#fleet = this.#receipts = this.#revocations = undefined;
  }

  /** Pid of a supervised process; undefined when none is known. */
  pidOf(name: string): number | undefined {
    try {
      const pid = Number(readFileSync(this.layout.pid(name), "utf8"));
      return Number.isInteger(pid) && pid > 1 ? pid : undefined;
    } catch {
      return undefined; // between two lives
    }
  }

  /** Sends a signal to a supervised process; false when it does not run. */
  signal(name: string, signal: NodeJS.Signals): boolean {
    const pid = this.pidOf(name);
    if (pid === undefined) return false;
    try {
      return process.kill(pid, signal);
    } catch {
      return false; // it has just ended
    }
  }

  get management(): ConnectedCluster {
    return this.#cluster("management", managementPorts(this.#options.portOffset).api, this.layout.operator);
  }

  tenant(name: string): ConnectedCluster {
    const ports = tenantPorts(this.#index(name), this.#options.portOffset);
    return this.#cluster(name, ports.api, join(this.layout.tenant(name), "operator"));
  }

  get fleet(): GrpcClient<typeof FleetService> {
    return (this.#fleet ??= this.#keep(createGrpcClient(FleetService, this.#internal())));
  }

  get receipts(): GrpcClient<typeof ReceiptService> {
    return (this.#receipts ??= this.#keep(createGrpcClient(ReceiptService, this.#internal())));
  }

  get revocations(): GrpcClient<typeof RevocationService> {
    return (this.#revocations ??= this.#keep(createGrpcClient(RevocationService, this.#internal())));
  }

  permissions(name: string): GrpcClient<typeof PermissionService> {
    const known = this.#permissions.get(name);
    if (known !== undefined) return known;
    const { permission } = tenantPorts(this.#index(name), this.#options.portOffset);
    const made = this.#keep(
      createGrpcClient(PermissionService, {
        address: `127.0.0.1:${permission}`,
        credentials: credentialsOf(join(this.layout.tenant(name), "operator")),
        channel: IMPATIENT,
      }),
    );
    this.#permissions.set(name, made);
    return made;
  }

  async agents(): Promise<readonly Agent[]> {
    return (await this.fleet.listAgents({}, { deadlineMs: 3_000 })).agents;
  }

  async listReceipts(): Promise<readonly Receipt[]> {
    return (await this.receipts.listReceipts({}, { deadlineMs: 3_000 })).receipts;
  }

  async drift(): Promise<readonly DriftSignalView[]> {
    return (await this.fleet.listDrift({ includeConfirmed: true }, { deadlineMs: 3_000 })).signals;
  }

  /** Text of `/metrics` of one process. */
  async metrics(name: string): Promise<string> {
    const port =
      name === "management"
        ? managementPorts(this.#options.portOffset).ops
        : tenantPorts(this.#index(name), this.#options.portOffset).ops;
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(5_000) });
    return answer.text();
  }

  log(name: string): string {
    try {
      return readFileSync(this.layout.log(name), "utf8");
    } catch {
      return ""; // it never started
    }
  }

  /** Waits until every tenant is connected and holds its desired index, all healthy. */
  async ready(timeoutMs = 60_000): Promise<void> {
    const ended = this.#ended.then(() => {
      throw new Error(`up has ended:\n${this.#output.slice(-1_000)}`);
    });
    await Promise.race([ended, this.#atRest(timeoutMs)]);
  }

  async #atRest(timeoutMs: number): Promise<void> {
    await until("a mesh at rest", timeoutMs, async () => {
      const agents = await this.agents();
      const open = this.tenants.flatMap((name) => {
        const agent = agents.find(({ cluster }) => cluster === name);
        if (agent?.connected !== true) return [`${name} is not connected`];
        if (agent.desired === undefined || agent.held?.digest !== agent.desired.digest)
          return [`${name} does not hold its index`];
        const { healthy = 0, desired = 1, quarantined = 0 } = agent.items ?? {};
        return healthy === desired ? [] : [`${name} has ${healthy} of ${desired} healthy, ${quarantined} quarantined`];
      });
      return open.length === 0 ? undefined : open.join("; ");
    });
  }

  #index(name: string): number {
    return Number(name.replace("tenant-", ""));
  }

  #internal() {
    return {
      address: `127.0.0.1:${managementPorts(this.#options.portOffset).internal}`,
      credentials: credentialsOf(this.layout.operator),
      channel: IMPATIENT,
    };
  }

  #cluster(name: string, port: number, directory: string): ConnectedCluster {
    const known = this.#clusters.get(name);
    if (known !== undefined) return known;
    const made = this.#keep(
      httpCluster({
        server: `https://127.0.0.1:${port}`,
        caPem: readFileSync(join(directory, "ca.crt"), "utf8"),
        clientCertPem: readFileSync(join(directory, "tls.crt"), "utf8"),
        clientKeyPem: readFileSync(join(directory, "tls.key"), "utf8"),
        userAgent: "faults",
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
      }),
    );
    this.#clusters.set(name, made);
    return made;
  }

  #keep<C extends { close(): unknown }>(client: C): C {
    this.#clients.push(client);
    return client;
  }
}

function credentialsOf(directory: string) {
  return clientCredentials({
    caPem: readFileSync(join(directory, "ca.crt"), "utf8"),
    certificatePem: readFileSync(join(directory, "tls.crt"), "utf8"),
    privateKeyPem: readFileSync(join(directory, "tls.key"), "utf8"),
  });
}

/** Waits until `look` finds nothing missing; what it answers or throws last is the reason of the failure. */
export async function until(what: string, timeoutMs: number, look: () => Promise<string | undefined>): Promise<void> {
  const deadline = systemClock.monotonic() + timeoutMs;
  for (;;) {
    let missing: string | undefined;
    try {
      missing = await look();
    } catch (error) {
      missing = error instanceof Error ? error.message : String(error);
    }
    if (missing === undefined) return;
    if (systemClock.monotonic() > deadline)
      throw new Error(`${what} was not seen within ${timeoutMs / 1000} s; last: ${missing}`);
    await systemClock.sleep(POLL_MS);
  }
}
