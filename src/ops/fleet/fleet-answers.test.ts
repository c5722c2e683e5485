import { create } from "@bufbuild/protobuf";
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { MemoryDesiredStates, MemoryDirectory } from "../../../test/support/federation-ports.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../test/support/management-cluster.ts";
import {
  ItemReportSchema,
  ItemReport_Level as Level,
  Nack_Class,
  NackSchema,
} from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  type FleetService,
  ListAgentsResponseSchema,
  RetryItemRequestSchema,
  RetryItemResponse_Outcome,
  ExplainItemRequestSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import type { GrpcClient } from "../../api/grpc/client.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import type { AgentView, HubView } from "../../federation/hub/hub-view.ts";
import { createHubFactStore } from "../../federation/hub/mirror/hub-fact-store.ts";
import { type RunningRetryOrders, startRetryOrders } from "../../federation/hub/retries/retry-orders.ts";
import { ed25519Signer } from "../../trust/dsse.ts";
import { FleetAnswers } from "./fleet-answers.ts";
import { FleetQueries } from "./fleet-queries.ts";
import { startFleetSources } from "./fleet-sources.ts";
import { PeerFleets } from "./peer-fleets.ts";

const TENANT = "tenant-1";

class View implements HubView {
  readonly replica: string;
  carried: AgentView | undefined;

  constructor(replica: string) {
    this.replica = replica;
  }

  get connected(): number {
    return this.carried?.connected === true ? 1 : 0;
  }
  agent = (): AgentView | undefined => this.carried;
  agents = (): readonly AgentView[] => (this.carried === undefined ? [] : [this.carried]);
  subscribe = (): (() => void) => () => {};
}

const session = (more: Partial<AgentView>): AgentView => ({
  cluster: TENANT,
  connected: true,
  sessionId: "s",
  term: 1n,
  agentVersion: "0.1.0",
  protocolVersion: 2,
  auditBacklog: 0n,
  auditStoredThrough: 0n,
  degradedReason: "",
  revocationsSentThrough: 0n,
  queuedBytes: 0,
  needsResync: false,
  lastDisconnect: "",
  ...more,
});

let management: TestManagementCluster;
/** The replica that carries the agent now, and which replicas answer. */
let owner = "hub-2";
let answering = true;
const views = { "hub-1": new View("hub-1"), "hub-2": new View("hub-2") };
const answers = new Map<string, FleetAnswers>();
const orders = new Map<string, RunningRetryOrders>();
const signer = ed25519Signer(generateKeyPairSync("ed25519").privateKey);
const desired = new MemoryDesiredStates(signer, systemClock);

/** The wire to a replica, without the wire. */
function clientOf(replica: string): GrpcClient<typeof FleetService> {
  const ask = async <R>(answer: (of: FleetAnswers) => Promise<R>): Promise<R> => {
    const of = answers.get(replica);
    if (!answering || of === undefined) throw new GrpcStatusError(Status.UNAVAILABLE, "no connection");
    return answer(of);
  };
  const partial: Partial<GrpcClient<typeof FleetService>> = {
    listAgents: (request) =>
      ask(async (of) =>
        create(ListAgentsResponseSchema, {
          agents: [...(await of.agents({ clusters: request.clusters ?? [], localOnly: request.localOnly ?? false }))],
        }),
      ),
    explainItem: (request) => ask((of) => of.explain(create(ExplainItemRequestSchema, request))),
    retryItem: (request) => ask((of) => of.retry(create(RetryItemRequestSchema, request))),
    close: () => {},
  };
  return partial as GrpcClient<typeof FleetService>;
}

beforeAll(async () => {
  management = await openManagementCluster();
  await management.addTenant(TENANT);
  const { cluster, signal } = management;
  const version = desired.put(TENANT, "PackInstalled", "web-tenant-1", Buffer.from("x"));
  const facts = createHubFactStore({ cluster, clock: systemClock, log: silentLog, drift: async () => {} });
  await facts.channel(TENANT, {
    connected: true,
    reason: "Recovered",
    detail: "",
    sessionId: "s2",
    term: 2n,
    replica: "hub-2",
  });
  await facts.items(TENANT, [
    create(ItemReportSchema, {
      kind: "PackInstalled",
      name: "web-tenant-1",
      version: BigInt(version),
      digest: desired.current(TENANT)?.document.items[0]?.digest ?? "",
      level: Level.RECEIVED,
      nack: create(NackSchema, { class: Nack_Class.UNTRUSTED, retryable: false, reason: "SIGNATURE_INVALID" }),
    }),
  ]);
  for (const [name, view] of Object.entries(views)) {
    const retries = await startRetryOrders({
      cluster,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      signal,
    });
    orders.set(name, retries);
    const sources = startFleetSources({
      retries,
      cluster,
      signal,
      desired,
      directory: new MemoryDirectory([TENANT]),
      view,
      owner: () => ({ holder: owner, term: 2n }),
      replicaAlive: () => true,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
    await sources.synced;
    const peers = new PeerFleets({
      peers: () =>
        Object.keys(views)
          .filter((other) => other !== name)
          .map((replica) => ({ replica, address: replica })),
      connect: clientOf,
      log: silentLog,
    });
    answers.set(name, new FleetAnswers(new FleetQueries(sources, systemClock), peers));
  }
});
afterAll(() => management.close());

beforeEach(() => {
  owner = "hub-2";
  answering = true;
  // hub-1 had the agent before; what it remembers is no news.
  views["hub-1"].carried = session({ connected: false, degradedReason: "Disconnected", lastDisconnect: "long ago" });
  views["hub-2"].carried = session({ term: 2n, rttMs: 4.5, held: { epoch: 1, sequence: 7, digest: "sha256:held" } });
});

const at = (replica: string): FleetAnswers => answers.get(replica) ?? expect.unreachable();
const all = { clusters: [], localOnly: false };

describe("any replica answers for the fleet", () => {
  it("shows an agent elsewhere as the replica that carries it sees it", async () => {
    for (const replica of ["hub-1", "hub-2"]) {
      const [row] = await at(replica).agents(all);
      expect(row).toMatchObject({ connected: true, replica: "hub-2", term: 2n, rttMs: 4.5, degradedReason: "" });
      expect(row?.held?.digest).toBe("sha256:held");
      expect(row?.lastDisconnect).toBe("");
    }
    expect(await at("hub-1").agents({ clusters: [], localOnly: true })).toEqual([]);
    expect(await at("hub-2").agents({ clusters: [], localOnly: true })).toHaveLength(1);
  });

  it("says what the management cluster knows while that replica does not answer", async () => {
    answering = false;
    const [row] = await at("hub-1").agents(all);
    expect(row).toMatchObject({ connected: true, replica: "hub-2", term: 2n, sessionId: "s2", degradedReason: "" });
    expect(row?.held).toBeUndefined();
    const explained = await at("hub-1").explain(
      create(ExplainItemRequestSchema, { cluster: TENANT, name: "web-tenant-1" }),
    );
    expect(explained).toMatchObject({ connected: true, lastError: "SIGNATURE_INVALID" });
  });

  it("follows changes with the rows of the carrying replica", async () => {
    const stop = new AbortController();
    const stream = at("hub-1").watchAgents({ clusters: [], have: [] }, stop.signal);
    const first = await stream.next();
    expect(first.value?.agents[0]).toMatchObject({ rttMs: 4.5, replica: "hub-2" });
    stop.abort();
    await stream.return(undefined);
  });

  it("takes a retry at any replica, whoever carries the agent and whether that one answers", async () => {
    const request = create(RetryItemRequestSchema, { cluster: TENANT, name: "web-tenant-1" });
    expect(await at("hub-1").retry(request)).toMatchObject({
      lifted: true,
      outcome: RetryItemResponse_Outcome.ORDERED,
    });
    expect(await at("hub-2").retry(request)).toMatchObject({ lifted: true });
    await vi.waitFor(() => {
      const [order, ...more] = orders.get("hub-2")?.pending(TENANT) ?? [];
      expect([order?.name, more.length]).toEqual(["web-tenant-1", 0]);
      expect(orders.get("hub-1")?.pending(TENANT)).toEqual([order]);
    });
    answering = false;
    owner = "hub-1"; // hub-1 owned it last, and it is away
    expect(await at("hub-1").retry(request)).toMatchObject({ outcome: RetryItemResponse_Outcome.WAITS_FOR_AGENT });
  });
});
