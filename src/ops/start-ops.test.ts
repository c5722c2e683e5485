import { RememberingTrail } from "../../test/support/remembering-trail.ts";
import { create } from "@bufbuild/protobuf";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../test/support/management-cluster.ts";
import { Secret } from "../api/builtin.ts";
import {
  type ItemReport,
  ItemReportSchema,
  ItemReport_Level as Level,
  Nack_Class as NackClass,
} from "../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { AuditEventBatchSchema, PackReceiptReportSchema } from "../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { AuditService } from "../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { FleetService, ReceiptService, RevocationService } from "../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import {
  RetryItemResponse_Outcome,
  RetryItemResponse_OutcomeSchema,
  RevocationProgress_State as Progress,
  RevocationProgress_StateSchema,
} from "../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { Health } from "../api/gen/grpc/health/v1/health_pb.ts";
import { type GrpcClient, createGrpcClient } from "../api/grpc/client.ts";
import { PackDelivery } from "../api/kinds/pack-delivery.ts";
import { PackInstalled } from "../api/kinds/pack-installed.ts";
import { NAMESPACES, SECRET_NAMES, SECRET_TYPES, tenantNamespace } from "../api/names.ts";
import { systemClock } from "../base/clock.ts";
import { type Digest, digestOf } from "../base/digest.ts";
import { silentLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { startDesiredStates } from "../federation/hub/desired-states/desired-states.ts";
import type { AgentView, HubView } from "../federation/hub/hub-view.ts";
import type { RunningRevocationOutbox } from "../federation/hub/revocations/revocation-outbox.ts";
import { CHAIN_START, auditHash } from "../federation/audit/audit-chain.ts";
import type { HubAuditSink } from "../federation/audit/hub-audit-sink.ts";
import { openSqliteAuditSink } from "../federation/audit/sqlite-audit-sink.ts";
import { type HubFactStore, createHubFactStore } from "../federation/hub/mirror/hub-fact-store.ts";
import { type RunningRetryOrders, startRetryOrders } from "../federation/hub/retries/retry-orders.ts";
import { startRevocationOutbox } from "../federation/hub/revocations/revocation-outbox.ts";
import { startTenantDirectory } from "../federation/hub/tenant-directory/tenant-directory.ts";
import { encodeIndex } from "../federation/index/encode-index.ts";
import { createDevelopmentTrust } from "../trust/ca/development-trust.ts";
import type { DevelopmentTrustPaths, TlsFiles } from "../trust/ca/development-trust-paths.ts";
import { PAYLOAD_TYPES, ed25519Signer, encodeEnvelope, signEnvelope } from "../trust/dsse.ts";
import { KeyRing } from "../trust/keyring/key-ring.ts";
import { clientCredentials } from "../trust/tls/client-credentials.ts";
import { fixedTls, loadTlsFiles } from "../trust/tls/tls-material.ts";
import { createPrometheusMetrics } from "./metrics/prometheus-metrics.ts";
import { type Ops, startOps } from "./start-ops.ts";

const TENANT = "tenant-1";
const PACK = "web-tenant-1";
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const signer = ed25519Signer(privateKey);

/** The hub's sessions as these tests want them. */
class StagedView implements HubView {
  readonly replica = "hub-0";
  readonly #agents = new Map<string, AgentView>();
  readonly #listeners = new Set<(cluster: string) => void>();

  get connected(): number {
    return [...this.#agents.values()].filter(({ connected }) => connected).length;
  }
  set(view: AgentView): void {
    this.#agents.set(view.cluster, view);
    for (const listener of this.#listeners) listener(view.cluster);
  }
  agent(cluster: string): AgentView | undefined {
    return this.#agents.get(cluster);
  }
  agents(): readonly AgentView[] {
    return [...this.#agents.values()];
  }
  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const connected = (more: Partial<AgentView> = {}): AgentView => ({
  cluster: TENANT,
  connected: true,
  sessionId: "s1",
  term: 3n,
  agentVersion: "0.1.0",
  protocolVersion: 2,
  connectedAtMs: Date.now(),
  lastSeenMs: Date.now(),
  rttMs: 1.5,
  auditBacklog: 7n,
  auditStoredThrough: 40n,
  certificateNotAfterMs: Date.now() + 10 * 86_400_000,
  degradedReason: "",
  revocationsSentThrough: 0n,
  queuedBytes: 0,
  needsResync: false,
  lastDisconnect: "",
  ...more,
});

let directory: string;
let trust: DevelopmentTrustPaths;
let management: TestManagementCluster;
let view: StagedView;
let facts: HubFactStore;
let audit: HubAuditSink;
let outbox: RunningRevocationOutbox;
let retries: RunningRetryOrders;
let ops: Ops;
let fleet: GrpcClient<typeof FleetService>;
let receipts: GrpcClient<typeof ReceiptService>;
let revocations: GrpcClient<typeof RevocationService>;

async function client<S extends Parameters<typeof createGrpcClient>[0]>(
  service: S,
  files: TlsFiles,
): Promise<GrpcClient<S>> {
  const material = await loadTlsFiles({
    caFile: files.ca,
    certificateFile: files.certificate,
    privateKeyFile: files.key,
  });
  return createGrpcClient(service, {
    address: `localhost:${ops.internalPort}`,
    credentials: clientCredentials(material),
  });
}

/** Signs and stores an index with one pack of this digest. */
async function desire(sequence: number, digest: Digest): Promise<void> {
  const body = encodeIndex({
    _type: "FederationIndex/v1",
    cluster: TENANT,
    epoch: 1,
    sequence,
    issuedAt: new Date().toISOString(),
    expiresAt: "2999-01-01T00:00:00Z",
    keyId: signer.keyId,
    items: [{ kind: "PackInstalled", name: PACK, version: sequence, digest, size: 10 }],
    revocations: [],
  });
  const envelope = Buffer.from(encodeEnvelope(signEnvelope(PAYLOAD_TYPES.index, body, signer))).toString("base64");
  const name = SECRET_NAMES.federationIndex;
  await management.cluster.patch(
    Secret,
    { namespace: tenantNamespace(TENANT), name },
    {
      type: "apply",
      body: {
        apiVersion: "v1",
        kind: "Secret",
        type: SECRET_TYPES.federationIndex,
        metadata: { name, namespace: tenantNamespace(TENANT) },
        data: { envelope },
      },
    },
    { fieldManager: "test", force: true },
  );
  await vi.waitFor(async () => {
    const { agents } = await fleet.listAgents({});
    expect(agents[0]?.desired?.sequence).toBe(BigInt(sequence));
  });
}

const report = (version: number, digest: string, level: Level, more: object = {}): ItemReport =>
  create(ItemReportSchema, {
    kind: "PackInstalled",
    name: PACK,
    version: BigInt(version),
    digest,
    level,
    atUnixMs: BigInt(Date.now()),
    ...more,
  });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-ops-"));
  const common = { clock: systemClock, random: systemRandom, log: silentLog };
  [trust, management] = await Promise.all([
    createDevelopmentTrust({ directory, clusters: [TENANT], clock: systemClock }),
    openManagementCluster(),
  ]);
  await management.addTenant(TENANT);
  await management.cluster.create(PackInstalled, {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackInstalled",
    metadata: { name: PACK, namespace: tenantNamespace(TENANT) },
    spec: { clusterPackRef: "web-v1", version: "v1", targetClusterRef: TENANT },
  });
  await management.cluster.create(PackDelivery, {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackDelivery",
    metadata: { name: "web-v1", namespace: NAMESPACES.seam },
    spec: {
      version: "v1",
      basePackName: "web",
      registryRef: { url: "packs.local/web", digest: `sha256:${"0".repeat(64)}` },
      checksum: `sha256:${"0".repeat(64)}`,
      targetClusters: [TENANT],
    },
  });
  const { cluster, signal } = management;
  const metrics = createPrometheusMetrics();
  view = new StagedView();
  facts = createHubFactStore({ cluster, clock: systemClock, log: silentLog, drift: async () => {} });
  const [desired, tenants, ledgers, orders] = await Promise.all([
    startDesiredStates({
      ...common,
      cluster,
      signal,
      metrics,
      keys: new KeyRing([publicKey]),
      packs: { get: () => Promise.reject(new Error("no pack is stored")) },
    }),
    startTenantDirectory({ ...common, cluster, signal }),
    startRevocationOutbox({ ...common, cluster, signal, signer }),
    startRetryOrders({ ...common, cluster, signal }),
  ]);
  outbox = ledgers;
  retries = orders;
  const { ca, certificate, key } = trust.internal;
  audit = await openSqliteAuditSink({ path: join(directory, "audit", "audit.db"), clock: systemClock });
  ops = await startOps({
    ...common,
    cluster,
    signal,
    metrics,
    view,
    desired,
    directory: tenants,
    revocations: outbox,
    retries,
    audit,
    trail,
    ownCluster: "management",
    internal: {
      address: "127.0.0.1",
      port: 0,
      tls: fixedTls(await loadTlsFiles({ caFile: ca, certificateFile: certificate, privateKeyFile: key })),
      groups: ["seam:operators"],
    },
    http: { address: "127.0.0.1", port: 0 },
  });
  [fleet, receipts, revocations] = await Promise.all([
    client(FleetService, trust.operator),
    client(ReceiptService, trust.operator),
    client(RevocationService, trust.operator),
  ]);
});

afterAll(async () => {
  fleet.close();
  receipts.close();
  revocations.close();
  await management.close();
  await ops.closed;
  await audit.close();
  await rm(directory, { recursive: true, force: true });
});

const trail = new RememberingTrail();
const http = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`http://127.0.0.1:${ops.httpPort}${path}`, init);

describe("AuditService", () => {
  it("answers over the log that the hub stores, and verifies it", async () => {
    const event = Buffer.from('{"action":"authz.decision","decision":"deny","subject":"mallory"}');
    const prevHash = CHAIN_START;
    const chained = { sequence: 1n, event, prevHash, hash: auditHash(prevHash, 1n, event) };
    await audit.append(TENANT, create(AuditEventBatchSchema, { epoch: 1n, events: [chained] }));
    const service = await client(AuditService, trust.operator);
    const page = await service.queryEvents({ filter: { subject: "mallory" } });
    expect(page.events).toMatchObject([{ cluster: TENANT, sequence: 1n, decision: "deny", event: event.toString() }]);
    const verdicts = [];
    for await (const verdict of service.verifyChains({})) verdicts.push(verdict);
    expect(verdicts).toMatchObject([{ cluster: TENANT, verified: 1n, breaks: 0n }]);
    service.close();
  });

  it("has operators resolve what is in quarantine, under the name of their certificate", async () => {
    const event = Buffer.from('{"action":"authz.decision","subject":"rival"}');
    const rival = { sequence: 1n, event, prevHash: CHAIN_START, hash: auditHash(CHAIN_START, 1n, event) };
    await audit.append(TENANT, create(AuditEventBatchSchema, { epoch: 1n, events: [rival] }));
    const service = await client(AuditService, trust.operator);
    const { entries } = await service.listQuarantine({ cluster: TENANT });
    expect(entries).toMatchObject([{ id: { cluster: TENANT, sequence: 1n }, code: "AUDIT_CONFLICT" }]);
    const id = entries[0]?.id;
    if (id === undefined) throw new Error("an id");
    const shown = await service.getQuarantined({ id });
    expect(Buffer.from(shown.event)).toEqual(event);
    expect(shown.stored).toMatchObject({ subject: "mallory" });
    await service.resolveQuarantined({ id, reason: "cloned disk" });
    expect(trail.of("audit.quarantine_resolved")).toMatchObject([
      { subject: expect.stringMatching(/./), details: { reason: "cloned disk", event: event.toString() } },
    ]);
    expect((await service.listQuarantine({})).entries).toEqual([]);
    service.close();
  });
});

describe("FleetService", () => {
  it("shows a registered tenant that never connected, and then its session", async () => {
    const before = (await fleet.listAgents({})).agents;
    expect(before).toMatchObject([{ cluster: TENANT, connected: false, degradedReason: "NeverConnected" }]);
    view.set(connected());
    expect((await fleet.listAgents({})).agents).toMatchObject([
      { cluster: TENANT, connected: true, replica: "hub-0", term: 3n, auditBacklog: 7n, degradedReason: "" },
    ]);
    expect((await fleet.listAgents({ clusters: ["tenant-9"] })).agents).toEqual([]);
  });

  it("explains an item at every step, by its pack's name too", async () => {
    const digest = digestOf("v1");
    await desire(1, digest);
    const explain = async (): Promise<readonly [string, string]> => {
      const { steps, blockingReason } = await fleet.explainItem({ cluster: TENANT, name: "web" });
      return [steps.map(({ state }) => state).join(" "), blockingReason];
    };
    expect(await explain()).toEqual([
      "done pending pending pending pending pending",
      "the index that names it was not offered yet",
    ]);
    view.set(connected({ offered: { epoch: 1, sequence: 1, digest: "", atMs: Date.now() - 1000 } }));
    expect(await explain()).toEqual([
      "done done pending pending pending pending",
      "the agent has not reported received yet",
    ]);
    await facts.items(TENANT, [report(1, digest, Level.APPLIED, { waitingFor: "Deployment web/web" })]);
    await vi.waitFor(async () =>
      expect(await explain()).toEqual(["done done done done done pending", "the agent waits for Deployment web/web"]),
    );
    await facts.items(TENANT, [report(1, digest, Level.HEALTHY)]);
    await vi.waitFor(async () => expect(await explain()).toEqual(["done done done done done done", ""]));
    const whole = await fleet.explainItem({ cluster: TENANT, kind: "PackInstalled", name: PACK });
    expect(whole.steps.every(({ at, name }) => at !== undefined || name === "desired")).toBe(true);
    expect(whole.item).toMatchObject({ version: 1n, digest, level: Level.HEALTHY, quarantined: false });
    const row = (await fleet.listAgents({})).agents[0];
    expect(row?.items).toMatchObject({ desired: 1, healthy: 1, quarantined: 0 });
  });

  it("shows a refusal with its reason, what is still in force, and lifts it on request", async () => {
    await facts.packReceipt(
      TENANT,
      create(PackReceiptReportSchema, {
        receiptName: PACK,
        clusterPackRef: "web-v1",
        version: "v1",
        serial: 1n,
        manifestDigest: digestOf("v1"),
        verified: true,
        driftStatus: "InSync",
      }),
    );
    const digest = digestOf("v2");
    await desire(2, digest);
    const nack = { class: NackClass.UNTRUSTED, retryable: false, reason: "SIGNATURE_INVALID", detail: "key 1f…" };
    await facts.items(TENANT, [report(2, digest, Level.RECEIVED, { nack })]);
    await vi.waitFor(async () => {
      const answer = await fleet.explainItem({ cluster: TENANT, name: PACK });
      expect(answer.steps.map(({ state }) => state)).toEqual(["done", "done", "done", "refused", "pending", "pending"]);
      expect(answer).toMatchObject({ lastError: "SIGNATURE_INVALID: key 1f…", lastGood: "v1 (serial 1)" });
      expect(answer.blockingReason).toContain("refused by the agent: SIGNATURE_INVALID");
      expect(answer.item?.quarantined).toBe(true);
    });
    expect(await fleet.retryItem({ cluster: TENANT, name: PACK })).toMatchObject({
      lifted: true,
      outcome: RetryItemResponse_Outcome.ORDERED,
      message: `PackInstalled/${PACK} on ${TENANT} is offered again`,
    });
    await vi.waitFor(async () => {
      expect(retries.pending(TENANT)).toMatchObject([{ kind: "PackInstalled", name: PACK, digest }]);
      expect((await fleet.explainItem({ cluster: TENANT, name: PACK })).retryOrderedAt).toBeDefined();
    });
  });

  it("says what becomes of a retry: for an agent that is away, before the refusal, and for nothing", async () => {
    const retry = async (): Promise<string> => {
      const { outcome, lifted, message } = await fleet.retryItem({ cluster: TENANT, name: PACK });
      return `${RetryItemResponse_OutcomeSchema.value[outcome]?.localName} ${lifted} ${message}`;
    };
    const item = `PackInstalled/${PACK} on ${TENANT}`;
    view.set(connected({ connected: false, lastSeenMs: Date.parse("2026-01-02T03:04:05Z") }));
    expect(await retry()).toBe(
      `WAITS_FOR_AGENT true ${item} is offered again when the agent is back: it is not connected (last seen 2026-01-02T03:04:05Z); the order is kept until then, or until the content changes`,
    );
    view.set(connected());
    const digest = digestOf("v2b");
    await desire(3, digest);
    await vi.waitFor(async () =>
      expect(await retry()).toBe(
        `WAITS_FOR_REFUSAL false ${item} is not refused, as far as the hub knows: it is not received yet. If the agent refuses this content within 10 minutes, it tries it once more`,
      ),
    );
    const nack = { class: NackClass.BUSY, retryable: true, reason: "API_AWAY", detail: "" };
    await facts.items(TENANT, [report(3, digest, Level.VERIFIED, { nack })]);
    await vi.waitFor(async () =>
      expect(await retry()).toBe(
        `NOT_REFUSED false ${item} is not quarantined (API_AWAY): the agent tries again by itself; see: seamctl explain`,
      ),
    );
    await facts.items(TENANT, [report(3, digest, Level.HEALTHY)]);
    await vi.waitFor(async () =>
      expect(await retry()).toBe(`NOT_REFUSED false ${item} is not refused: it is healthy; nothing is retried`),
    );
  });

  it("says what stands in the way while the agent is away", async () => {
    view.set(connected({ connected: false, lastDisconnect: "heartbeat missed at 10:00" }));
    await desire(4, digestOf("v3"));
    const { blockingReason } = await fleet.explainItem({ cluster: TENANT, name: PACK });
    expect(blockingReason).toBe("the agent is not connected (heartbeat missed at 10:00)");
    view.set(connected());
  });

  it("names what was not found", async () => {
    await expect(fleet.explainItem({ cluster: "tenant-9", name: "x" })).rejects.toThrow(
      'cluster "tenant-9": must be a registered TalosCluster with role tenant; list them: seamctl agents',
    );
    await expect(fleet.explainItem({ cluster: TENANT, name: "x" })).rejects.toMatchObject({
      parts: { reason: "ItemNotFound" },
    });
  });

  it("watches: all agents first, then changes, until the caller leaves", async () => {
    const leave = new AbortController();
    const seen: boolean[] = [];
    const watching = (async () => {
      for await (const { agents } of fleet.watchAgents({}, { signal: leave.signal })) {
        seen.push(...agents.map((agent) => agent.connected));
        if (seen.length === 1) view.set(connected({ connected: false }));
        if (seen.at(-1) === false) leave.abort();
      }
    })();
    await expect(watching).rejects.toMatchObject({ details: expect.stringContaining("ancel") });
    expect(seen[0]).toBe(true);
    expect(seen.at(-1)).toBe(false);
    view.set(connected());
  });
});

/** First message of a stream, which is then left. */
async function firstOf<T>(open: (signal: AbortSignal) => AsyncIterable<T>): Promise<T> {
  const leave = new AbortController();
  try {
    for await (const message of open(leave.signal)) return message;
  } finally {
    leave.abort();
  }
  throw new Error("the stream ended before its first message");
}

describe("a watch that was lost", () => {
  it("goes on with agents that differ from what the caller has: ages and measurements do not count", async () => {
    const before = connected();
    view.set(before);
    const [agent] = (await fleet.listAgents({})).agents;
    view.set({ ...before, rttMs: 9, queuedBytes: 5, lastSeenMs: Date.now() + 1_000 });
    const have = [
      { key: TENANT, revision: agent?.revision ?? "" },
      { key: "gone", revision: "x" },
    ];
    const same = await firstOf((signal) => fleet.watchAgents({ have }, { signal }));
    expect(same).toMatchObject({ agents: [], removed: ["gone"] });
    view.set(connected({ connected: false }));
    const changed = await firstOf((signal) => fleet.watchAgents({ have }, { signal }));
    expect(changed.agents).toMatchObject([{ cluster: TENANT, connected: false }]);
    view.set(connected());
  });

  it("goes on with receipts by their version, which every replica knows", async () => {
    const [receipt] = (await receipts.listReceipts({})).receipts;
    const key = `${receipt?.cluster}/${receipt?.name}`;
    const same = await firstOf((signal) =>
      receipts.watchReceipts({ have: [{ key, revision: receipt?.revision ?? "" }] }, { signal }),
    );
    expect(same).toMatchObject({ receipts: [], removed: [] });
    const differs = await firstOf((signal) =>
      receipts.watchReceipts(
        {
          have: [
            { key, revision: "0" },
            { key: `${TENANT}/gone`, revision: "1" },
          ],
        },
        { signal },
      ),
    );
    expect(differs).toMatchObject({ receipts: [{ name: receipt?.name }], removed: [`${TENANT}/gone`] });
  });
});

describe("who may call the internal port", () => {
  it("refuses a tenant's certificates: they are of other CAs", async () => {
    const tenant = trust.tenants.get(TENANT);
    if (tenant === undefined) throw new Error("the tenant has trust material");
    for (const files of [tenant.federation, tenant.operator]) {
      const stranger = await client(FleetService, { ...files, ca: trust.operator.ca });
      await expect(stranger.listAgents({}, { deadlineMs: 3000 })).rejects.toMatchObject({ code: 14 });
      stranger.close();
    }
  });

  it("answers health for each service", async () => {
    const health = await client(Health, trust.operator);
    expect((await health.check({ service: FleetService.typeName })).status).toBe(1);
    health.close();
  });
});

describe("ReceiptService", () => {
  it("shows the mirror, filters by pack, and names what is missing", async () => {
    const { receipt } = await receipts.getReceipt({ cluster: TENANT, name: PACK });
    expect(receipt).toMatchObject({ cluster: TENANT, pack: "web-v1", version: "v1", serial: 1n, verified: true });
    expect(receipt?.mirroredAt).toBeDefined();
    expect((await receipts.listReceipts({ pack: "web" })).receipts).toHaveLength(1);
    expect((await receipts.listReceipts({ pack: "other" })).receipts).toEqual([]);
    await expect(receipts.getReceipt({ cluster: TENANT, name: "none" })).rejects.toMatchObject({ code: 5 });
  });
});

describe("RevocationService", () => {
  it("stores a revocation durably and idempotently, and shows its progress to the end", async () => {
    const order = { revocationId: "r-1", target: "Pack", name: "web", reason: "CVE" };
    const { revocation } = await revocations.revoke(order);
    expect(revocation).toMatchObject({
      revocationId: "r-1",
      target: "Pack",
      createdBy: "operator",
      reason: "CVE",
      complete: false,
      progress: [{ cluster: TENANT, state: Progress.PENDING, serial: 1n }],
    });
    const { metadata } = await management.cluster.get(PackDelivery, { namespace: NAMESPACES.seam, name: "web-v1" });
    expect(metadata.annotations?.["seam.ontai.dev/revoke"]).toBe("r-1: CVE");
    await revocations.revoke(order);
    expect((await revocations.listRevocations({})).revocations).toHaveLength(1);
    await expect(revocations.revoke({ ...order, target: "Cluster", name: TENANT })).rejects.toThrow(
      'revocation "r-1": an id of its own: this one revokes Pack web',
    );

    const watch = new AbortController();
    const seen: string[] = [];
    const watched = (async () => {
      for await (const { revocations: rows } of revocations.watchRevocations(
        { revocationId: "r-1" },
        { signal: watch.signal },
      ))
        for (const { progress } of rows)
          seen.push(progress.map(({ state }) => RevocationProgress_StateSchema.value[state]?.localName).join());
    })();
    await vi.waitFor(() => expect(seen).toEqual(["PENDING"]));
    view.set(connected({ connected: false }));
    await vi.waitFor(() => expect(seen.at(-1)).toBe("OFFLINE"));
    const offline = await revocations.getRevocation({ revocationId: "r-1" });
    expect(offline.revocation?.progress[0]?.boundedAt).toBeDefined();
    view.set(connected({ revocationsSentThrough: 1n }));
    await vi.waitFor(() => expect(seen.at(-1)).toBe("SENT"));
    await outbox.acknowledged(TENANT, 1n, { applied: true, detail: "", effectiveUnixMs: 1_767_225_600_000 });
    await watched; // the hub ends the stream of a revocation that is complete
    expect(seen).toEqual(["PENDING", "OFFLINE", "SENT", "EFFECTIVE"]);
    expect((await revocations.getRevocation({ revocationId: "r-1" })).revocation).toMatchObject({
      complete: true,
      progress: [{ effectiveAt: { seconds: 1_767_225_600n } }],
    });
    expect((await revocations.listRevocations({ incompleteOnly: true })).revocations).toEqual([]);
    view.set(connected());
  });

  it("revokes a certificate by its serial, once, and lists it", async () => {
    const { revocation } = await revocations.revoke({ target: "Certificate", name: "0a:bc", reason: "lost\nlaptop" });
    expect(revocation).toMatchObject({ target: "Certificate", name: "ABC", complete: true, reason: "lost laptop" });
    await vi.waitFor(async () =>
      expect((await revocations.listRevocations({})).revocations[0]).toMatchObject({
        revocationId: revocation?.revocationId,
        name: "ABC",
        reason: "lost laptop",
        createdBy: "operator",
      }),
    );
    const again = await revocations.revoke({ target: "Certificate", name: "ABC", reason: "again" });
    expect(again.revocation?.revocationId).toBe(revocation?.revocationId);
    await expect(revocations.revoke({ target: "Certificate", name: "mine", reason: "x" })).rejects.toThrow(
      'the serial number of a certificate, hexadecimal, found "mine"',
    );
  });

  it("cuts a cluster off and bounds what it may still hold, and refuses what it cannot do", async () => {
    await expect(revocations.revoke({ target: "Pack", name: "web" })).rejects.toThrow("reason");
    await expect(revocations.revoke({ target: "Pack", name: "none", reason: "x" })).rejects.toMatchObject({ code: 5 });
    await expect(revocations.revoke({ target: "All", name: "x", reason: "x" })).rejects.toThrow(
      'Pack, PermissionSnapshot, Cluster or Certificate, found "All"',
    );
    const { revocation } = await revocations.revoke({ target: "Cluster", name: TENANT, reason: "stolen" });
    expect(revocation).toMatchObject({ complete: false, progress: [{ state: Progress.PENDING }] });
    view.set(connected({ connected: false }));
    const cut = await revocations.getRevocation({ revocationId: revocation?.revocationId ?? "" });
    expect(cut.revocation).toMatchObject({ complete: false, progress: [{ state: Progress.OFFLINE }] });
    expect(cut.revocation?.progress[0]?.boundedAt).toBeDefined();
    view.set(connected());
  });
});

describe("HTTP", () => {
  it("answers liveness and readiness", async () => {
    expect(await (await http("/healthz")).text()).toBe("ok\n");
    expect(await (await http("/readyz")).json()).toMatchObject({ ready: true });
    expect((await http("/nothing")).status).toBe(404);
  });

  it("exposes the metrics by their names, with what the deliveries took", async () => {
    const text = await (await http("/metrics")).text();
    for (const line of [
      "federation_streams 1",
      'federation_items{level="desired"} 1',
      'wal_unacked_events{cluster="tenant-1"} 7',
      'federation_degraded{cluster="tenant-1"} 0',
    ])
      expect(text).toContain(line);
    expect(text).toMatch(/federation_commit_to_receipt_seconds_count\{level="received"\} [1-9]/);
    expect(text).toMatch(/event_loop_delay_seconds\{quantile="0.99"\}/);
    expect(text).toMatch(/process_resident_memory_bytes \d+/);
  });

  it("answers the reading half as JSON and changes nothing", async () => {
    const post = (method: string, body: object): Promise<Response> =>
      http(`/conductor.fleet.v1alpha1.${method}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    expect(await (await post("FleetService/ListAgents", {})).json()).toMatchObject({ agents: [{ cluster: TENANT }] });
    expect(await (await post("ReceiptService/ListReceipts", {})).json()).toMatchObject({ receipts: [{ name: PACK }] });
    const retry = await post("FleetService/RetryItem", { cluster: TENANT, name: PACK });
    expect(retry.status).toBe(403);
    const missing = await post("FleetService/ExplainItem", { cluster: TENANT, name: "x" });
    expect([missing.status, await missing.json()]).toMatchObject([404, { code: "not_found" }]);
  });

  it("serves a page that needs nothing from elsewhere and lets nothing else run", async () => {
    const response = await http("/");
    const html = await response.text();
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(html).not.toMatch(/https?:\/\//);
    expect(html).toContain('<html lang="en">');
    expect(html).toContain("prefers-color-scheme:dark");
  });
});
