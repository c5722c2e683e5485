import { readFileSync, rmSync } from "node:fs";
import {
  type Agent,
  FleetService,
  type Receipt,
  ReceiptService,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { type GrpcClient, createGrpcClient } from "../../api/grpc/client.ts";
import type { Clock } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { isRetryable } from "../../cluster/api-status-error.ts";
import { connectKubernetes } from "../../cluster/kubernetes/connect-kubernetes.ts";
import { type ConnectedCluster, httpCluster } from "../../cluster/kubernetes/http-cluster.ts";
import { createDevelopmentTrust } from "../../trust/ca/development-trust.ts";
import type { DevelopmentTrustPaths, TlsFiles } from "../../trust/ca/development-trust-paths.ts";
import { clientCredentials } from "../../trust/tls/client-credentials.ts";
import type { ChildEvent } from "./child.ts";
import { lockDirectory } from "./directory-lock.ts";
import { EXAMPLE_PACK, publishExample } from "./example.ts";
import { readExternalCluster } from "./external-cluster.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { MeshLayout, prepareLayout } from "./layout.ts";
import { awaitOrphans } from "./orphans.ts";
import { prepareExternal } from "./prepare-external.ts";
import { portClaims, requireFreePorts } from "./ports.ts";
import { MANAGEMENT } from "./process-environment.ts";
import { type Readiness, meshReadiness } from "./readiness.ts";
import { registerClusters } from "./seed.ts";
import { type MeshSettings, meshSettings, writeMeshSettings } from "./settings.ts";
import { type AgentProgram, type ProcessState, startSupervisor } from "./supervisor.ts";

/** How often the mesh looks at itself while it is not ready, milliseconds. */
const POLL_MS = 250;
/** Deadline of one look, milliseconds. */
const LOOK_DEADLINE_MS = 3_000;

/** What `seamctl up` starts. */
export interface MeshOptions {
  readonly directory: string;
  readonly tenants: number;
  readonly portOffset: number;
  /** Hub replicas; more than one need `auditSinkUrl`. */
  readonly hubReplicas: number;
  /** PostgreSQL of the audit sink; absent: SQLite. */
  readonly auditSinkUrl?: string;
  /** Kubeconfigs of clusters that have an API server of their own, by name (`management`, `tenant-1`, …); the others are embedded. */
  readonly kubeconfigs: ReadonlyMap<string, string>;
  /** Stands in for the nodes of those API servers. */
  readonly simulateNodes: boolean;
  /** Publish the example pack and permissions. */
  readonly example: boolean;
  readonly program: AgentProgram;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onEvent: (event: ChildEvent) => void;
}

/** A look at the whole mesh. */
export interface MeshStatus {
  readonly processes: readonly ProcessState[];
  readonly agents: readonly Agent[];
  readonly receipts: readonly Receipt[];
  /** Clusters that an earlier `up` registered and this one does not start: shown, but nothing waits for them. */
  readonly notStarted: readonly string[];
  readonly readiness: Readiness;
  /** Why the hub did not answer; empty when it did. */
  readonly hubError: string;
}

/** A running mesh. */
export interface Mesh {
  readonly layout: MeshLayout;
  readonly settings: MeshSettings;
  readonly tenantNames: readonly string[];
  /** The management cluster, as its administrator. */
  readonly management: ConnectedCluster;
  /** A tenant's cluster, as its administrator. */
  tenant(name: string): ConnectedCluster;
  status(): Promise<MeshStatus>;
  /** Sends a signal to a process; false when it does not run. */
  kill(name: string, signal: NodeJS.Signals): boolean;
  /** Resolves when every process has ended and the directory is unlocked; a seed that fails for good ends the mesh and rejects this. */
  readonly closed: Promise<void>;
}

/** Names of `count` tenants. */
export function tenantNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `tenant-${at + 1}`);
}

/**
 * Starts a whole mesh on this machine: one process for management and one per tenant, supervised, each with its own embedded cluster.
 * Everything lasting is in the state directory, so starting again goes on where it was.
 *
 * @throws SeamError for a directory that is busy, unwritable or newer, a busy port, or a full disk; nothing is left running
 */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const { clock, random } = options;
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const layout = new MeshLayout(options.directory);
  const names = tenantNames(options.tenants);
  prepareLayout(layout);
  const lock = lockDirectory(layout.lockFile, process.pid);
  let trust: DevelopmentTrustPaths;
  const external = new Map([...options.kubeconfigs].map(([name, file]) => [name, readExternalCluster(name, file)]));
  const settings = meshSettings(names, options.portOffset, options.hubReplicas, external);
  try {
    await awaitOrphans(layout, { clock, signal });
    await requireFreePorts(portClaims(names, options.portOffset, options.hubReplicas));
    trust = await createDevelopmentTrust({ directory: layout.root, clusters: names, clock, random });
    writeMeshSettings(layout, settings);
    writeKubeconfig(layout, settings, trust, external);
    for (const name of ["management", ...settings.hubReplicas, ...names]) rmSync(layout.hold(name), { force: true });
  } catch (error) {
    lock.release();
    throw error;
  }
  const connections: ConnectedCluster[] = [];
  const connect = async (name: string): Promise<void> => {
    const kubeconfigPath = layout.externalKubeconfig(name);
    const cluster = await connectKubernetes({ kubeconfigPath, userAgent: "seamctl", clock, random, log: silentLog });
    connections.push(cluster);
    await prepareExternal(name, cluster, { publicKeyFile: trust.signing.publicKey, clock, signal });
    clusters.set(name, cluster);
  };
  const clusters = new Map<string, ConnectedCluster>();
  try {
    for (const name of external.keys()) await connect(name);
  } catch (error) {
    await Promise.all(connections.map((each) => each.close()));
    lock.release();
    throw error;
  }
  const supervisor = startSupervisor(
    {
      layout,
      trust,
      tenants: names,
      portOffset: options.portOffset,
      hubReplicas: options.hubReplicas,
      ...(options.auditSinkUrl === undefined ? {} : { auditSinkUrl: options.auditSinkUrl }),
      external: new Map([...external.keys()].map((name) => [name, layout.externalKubeconfig(name)])),
      simulateNodes: options.simulateNodes,
    },
    options.program,
    {
      clock,
      random,
      signal,
      onEvent: options.onEvent,
    },
  );
  const client = (server: string, files: TlsFiles): ConnectedCluster =>
    httpCluster({
      server,
      caPem: readFileSync(files.ca, "utf8"),
      clientCertPem: readFileSync(files.certificate, "utf8"),
      clientKeyPem: readFileSync(files.key, "utf8"),
      userAgent: "seamctl",
      clock,
      random,
      log: silentLog,
    });
  const clusterOf = (name: string, api: string | undefined, files: TlsFiles | undefined): ConnectedCluster => {
    const known = clusters.get(name);
    if (known !== undefined) return known;
    if (api === undefined || files === undefined) throw new Error(`no cluster ${name} in this mesh`);
    const made = client(api, files);
    clusters.set(name, made);
    return made;
  };
  const management = clusterOf(MANAGEMENT, settings.api, trust.operator);
  const tenant = (name: string): ConnectedCluster =>
    clusterOf(name, settings.tenants.find((each) => each.name === name)?.api, trust.tenants.get(name)?.operator);
  const fleet = fleetClients(settings, trust.operator);
  const seeding = new Seeding(async () => {
    await registerClusters(management, settings);
    if (options.example) await publishExample(management, layout);
  });
  const seeded = seeding.run(clock, signal);
  seeded.catch((error: unknown) => failed.abort(error)); // `closed` reports it
  const expected: Expected = { tenants: names, pack: options.example ? EXAMPLE_PACK.name : undefined };
  return {
    layout,
    settings,
    tenantNames: names,
    management,
    tenant,
    kill: (name, by) => supervisor.kill(name, by),
    status: () => look(fleet, supervisor.states(), seeding.waitingFor, expected),
    closed: (async () => {
      try {
        await seeded;
      } finally {
        await supervisor.closed;
        fleet.close();
        await Promise.all([...clusters.values()].map((each) => each.close()));
        lock.release();
      }
    })(),
  };
}

interface FleetClients {
  readonly fleet: GrpcClient<typeof FleetService>;
  readonly receipts: GrpcClient<typeof ReceiptService>;
  close(): void;
}

function fleetClients(settings: MeshSettings, files: TlsFiles): FleetClients {
  const options = {
    address: settings.fleet,
    credentials: clientCredentials({
      caPem: readFileSync(files.ca, "utf8"),
      certificatePem: readFileSync(files.certificate, "utf8"),
      privateKeyPem: readFileSync(files.key, "utf8"),
    }),
    // The hub may be down for a while on purpose: look again soon, not after the library's two minutes.
    channel: {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 500,
      "grpc.min_reconnect_backoff_ms": 100,
      // A replica that hangs is left for another one.
      "grpc.keepalive_time_ms": LOOK_DEADLINE_MS,
      "grpc.keepalive_timeout_ms": 1_000,
    },
  };
  const fleet = createGrpcClient(FleetService, options);
  const receipts = createGrpcClient(ReceiptService, options);
  return {
    fleet,
    receipts,
    close: () => {
      fleet.close();
      receipts.close();
    },
  };
}

/** What the mesh waits for. */
interface Expected {
  readonly tenants: readonly string[];
  readonly pack: string | undefined;
}

async function look(
  clients: FleetClients,
  processes: readonly ProcessState[],
  seeding: readonly string[],
  expected: Expected,
): Promise<MeshStatus> {
  const down = processes.flatMap(downText);
  try {
    const call = { deadlineMs: LOOK_DEADLINE_MS };
    const [agents, receipts] = await Promise.all([
      clients.fleet.listAgents({}, call),
      clients.receipts.listReceipts({}, call),
    ]);
    const own = agents.agents.filter((agent) => expected.tenants.includes(agent.cluster));
    const fleet = meshReadiness(expected.tenants, own, receipts.receipts, expected.pack);
    const waitingFor = [...down, ...seeding, ...fleet.waitingFor];
    return {
      processes,
      agents: own,
      receipts: receipts.receipts.filter((receipt) => expected.tenants.includes(receipt.cluster)),
      notStarted: agents.agents.map((agent) => agent.cluster).filter((name) => !expected.tenants.includes(name)),
      readiness: { ready: waitingFor.length === 0, waitingFor },
      hubError: "",
    };
  } catch (error) {
    return {
      processes,
      agents: [],
      receipts: [],
      notStarted: [],
      readiness: { ready: false, waitingFor: [...down, "the hub does not answer"] },
      hubError: errorMessage(error),
    };
  }
}

/** A process that does not run, as a sentence; none for one that does. */
function downText(state: ProcessState): readonly string[] {
  switch (state.phase) {
    case "running":
    case "starting":
      return [];
    case "restarting":
      return [`${state.name} ended (${state.lastExit}) and is started again`];
    case "held":
      return [`${state.name} is held down`];
    case "stopped":
      return [`${state.name} is stopped`];
  }
}

/** Registers the clusters and the example as soon as the management API answers, through restarts of the process, until it has succeeded once. */
class Seeding {
  readonly #seed: () => Promise<void>;
  #waitingFor: readonly string[] = ["the clusters are not registered yet"];

  constructor(seed: () => Promise<void>) {
    this.#seed = seed;
  }

  /** Why it is not done, as a sentence; empty when it is. */
  get waitingFor(): readonly string[] {
    return this.#waitingFor;
  }

  /** Resolves when it is done or stopped. Throws what another attempt would not change. */
  async run(clock: Clock, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#seed();
        this.#waitingFor = [];
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof SeamError || (!isRetryable(error) && !isMissingKind(error))) throw error;
        this.#waitingFor = [`the clusters are not registered yet (${errorMessage(error)})`];
      }
      try {
        await clock.sleep(POLL_MS, signal);
      } catch {
        return; // stopped while waiting
      }
    }
  }
}

/** 404 for a kind whose CRD the starting process has not installed yet, or a namespace that is not there yet. */
function isMissingKind(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === 404;
}
