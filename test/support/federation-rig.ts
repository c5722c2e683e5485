import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { type Log, silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { HubAuditSink } from "../../src/federation/audit/hub-audit-sink.ts";
import { openSqliteAuditSink } from "../../src/federation/audit/sqlite-audit-sink.ts";
import type { HubOptions } from "../../src/federation/hub/hub-options.ts";
import { type Hub, startHub } from "../../src/federation/hub/start-hub.ts";
import type { ItemHandler, ItemOutcome } from "../../src/federation/spoke/ports.ts";
import type { SpokeOptions } from "../../src/federation/spoke/spoke-options.ts";
import { type Spoke, startSpoke } from "../../src/federation/spoke/start-spoke.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import { type KeyLookup, type Signer, ed25519Signer } from "../../src/trust/dsse.ts";
import { type TlsMaterial, fixedTls } from "../../src/trust/tls/tls-material.ts";
import {
  MemoryDesiredStates,
  MemoryDirectory,
  MemoryFactStore,
  MemoryOwnership,
  MemoryRetryOrders,
  MemoryRevocations,
} from "./federation-ports.ts";
import { RecordedMetrics } from "./recorded-metrics.ts";
import { UNHEARD_EVENTS } from "./plain-agent.ts";

/** Log lines at warning level and above, and every refusal, for tests that ask why. */
export interface RecordedLog {
  readonly log: Log;
  readonly lines: string[];
}

/** A log that keeps its lines as text. */
export function recordedLog(): RecordedLog {
  const lines: string[] = [];
  const at =
    (level: string): Log["info"] =>
    (fields, message) => {
      const parts = Object.entries(fields).map(
        ([name, value]) => `${name}=${value instanceof Error ? value.message : String(value)}`,
      );
      lines.push([level, message, ...parts].join(" "));
      if (process.env["SEAM_TEST_LOG"] !== undefined) console.log(lines.at(-1));
    };
  const log: Log = {
    debug: silentLog.debug,
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => log,
  };
  return { log, lines };
}

/** A federation of one hub and agents over real TLS sockets and SQLite, with everything a test may want to turn. */
export class FederationRig {
  readonly ca: CertificateAuthority;
  readonly serverTls: TlsMaterial;
  readonly signer: Signer;
  readonly keys: KeyLookup;
  /** SPKI PEM of the index signer. */
  readonly publicKeyPem: string;
  readonly directory: string;
  readonly desired: MemoryDesiredStates;
  readonly facts = new MemoryFactStore();
  readonly tenants: MemoryDirectory;
  readonly ownership = new MemoryOwnership();
  readonly retries = new MemoryRetryOrders();
  readonly revocations: MemoryRevocations;
  readonly metrics = new RecordedMetrics();
  readonly recorded = recordedLog();
  readonly #stops: (() => Promise<void>)[] = [];
  #port = 0;

  private constructor(
    ca: CertificateAuthority,
    serverTls: TlsMaterial,
    directory: string,
    clusters: readonly string[],
  ) {
    this.ca = ca;
    this.serverTls = serverTls;
    this.directory = directory;
    this.tenants = new MemoryDirectory(clusters);
    const { privateKey } = generateKeyPairSync("ed25519");
    const publicKey = createPublicKey(createPrivateKey(privateKey.export({ type: "pkcs8", format: "pem" })));
    this.signer = ed25519Signer(privateKey);
    this.publicKeyPem = publicKey.export({ type: "spki", format: "pem" }).toString();
    const keyId = this.signer.keyId;
    this.keys = { empty: false, key: (id) => (id === keyId ? publicKey : undefined) };
    this.revocations = new MemoryRevocations(this.signer);
    this.desired = new MemoryDesiredStates(this.signer, systemClock);
  }

  static async create(clusters: readonly string[]): Promise<FederationRig> {
    const ca = await CertificateAuthority.create("federation", { clock: systemClock });
    const issued = await ca.issue({
      kind: "server",
      commonName: "hub",
      dnsNames: ["localhost"],
      ipAddresses: ["127.0.0.1"],
    });
    const directory = await mkdtemp(join(tmpdir(), "seam-federation-"));
    return new FederationRig(ca, { ...issued, caPem: ca.certificatePem }, directory, clusters);
  }

  async tenantTls(cluster: string): Promise<TlsMaterial> {
    return { ...(await this.ca.issue({ kind: "tenant", cluster })), caPem: this.ca.certificatePem };
  }

  /** Starts a hub; a second call gets the port of the first, as a restarted one would. */
  async hub(options: Partial<HubOptions> = {}): Promise<{ readonly hub: Hub; stop(): Promise<void> }> {
    const audit = options.audit ?? (await this.#auditSink());
    const controller = new AbortController();
    const hub = await startHub({
      address: "127.0.0.1",
      port: this.#port,
      tls: fixedTls(this.serverTls),
      replica: "hub-0",
      endpoints: [],
      desired: this.desired,
      facts: this.facts,
      audit,
      directory: this.tenants,
      ownership: this.ownership,
      revocations: this.revocations,
      retries: this.retries,
      limits: { perCluster: { perSecond: 100, burst: 100 } },
      clock: systemClock,
      random: systemRandom,
      log: this.recorded.log,
      metrics: this.metrics,
      signal: controller.signal,
      ...options,
    });
    this.#port = hub.port;
    let stopped: Promise<void> | undefined;
    const stop = (): Promise<void> =>
      (stopped ??= (async () => {
        controller.abort();
        await hub.closed;
        if (options.audit === undefined) await (audit as HubAuditSink).close();
      })());
    this.#stops.push(stop);
    return { hub, stop };
  }

  get port(): number {
    return this.#port;
  }

  #auditSink(): Promise<HubAuditSink> {
    return openSqliteAuditSink({ path: join(this.directory, "audit", "audit.db"), clock: systemClock });
  }

  /** Starts an agent with its store in the rig's folder. */
  async spoke(
    cluster: string,
    options: Partial<SpokeOptions> = {},
  ): Promise<{ readonly spoke: Spoke; stop(): Promise<void> }> {
    const tls = await this.tenantTls(cluster);
    const controller = new AbortController();
    const spoke = await startSpoke({
      endpoints: [`127.0.0.1:${this.#port}`],
      tls: () => Promise.resolve(tls),
      cluster,
      agentVersion: "1.0.0",
      store: { directory: join(this.directory, cluster) },
      keys: this.keys,
      handlers: [new RecordingHandler()],
      events: UNHEARD_EVENTS,
      clock: systemClock,
      random: systemRandom,
      log: this.recorded.log,
      signal: controller.signal,
      ...options,
    });
    let stopped: Promise<void> | undefined;
    const stop = (): Promise<void> =>
      (stopped ??= (async () => {
        controller.abort();
        await spoke.closed;
      })());
    this.#stops.push(stop);
    return { spoke, stop };
  }

  /** Stops everything, agents first, and removes the folder. */
  async close(): Promise<void> {
    for (const stop of this.#stops.toReversed()) await stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** A handler that does what its item's body says and remembers what it was asked. */
export class RecordingHandler implements ItemHandler {
  readonly kind = "PackInstalled";
  readonly calls: string[] = [];
  readonly #verdict: (body: string, phase: string) => ItemOutcome;

  constructor(verdict: (body: string, phase: string) => ItemOutcome = () => ({ ok: true })) {
    this.#verdict = verdict;
  }

  verify: ItemHandler["verify"] = (context) => this.#phase("verify", context);
  apply: ItemHandler["apply"] = (context) => this.#phase("apply", context);
  healthy: ItemHandler["healthy"] = (context) => this.#phase("healthy", context);
  remove: ItemHandler["remove"] = (context) => this.#phase("remove", context);

  async #phase(phase: string, context: Parameters<ItemHandler["verify"]>[0]): Promise<ItemOutcome> {
    for (const ref of context.item.refs ?? []) await context.blobs.read(ref.digest);
    this.calls.push(`${phase} ${context.item.name}@${context.item.version}`);
    return this.#verdict(Buffer.from(context.body).toString(), phase);
  }
}

/** Waits until `condition` holds. Polling real sockets and processes is the only way to see them. */
export async function until(condition: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
