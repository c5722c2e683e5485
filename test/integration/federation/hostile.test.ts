import { create, toBinary } from "@bufbuild/protobuf";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ItemReport_Level, ItemReportSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  AuditEventBatchSchema,
  CapabilityDeclarationSchema,
  DriftReportSchema,
  PackReceiptReportSchema,
  SnapshotReceiptReportSchema,
} from "../../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { type Envelope, EnvelopeSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { Goodbye_Code, ProtocolError_Code } from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Hub } from "../../../src/federation/hub/start-hub.ts";
import type { Spoke } from "../../../src/federation/spoke/start-spoke.ts";
import type { TlsMaterial } from "../../../src/trust/tls/tls-material.ts";
import { FederationRig, until } from "../../support/federation-rig.ts";
import { FrameType, Http2Peer, frame, headerBlock, openStream } from "../../support/http2-peer.ts";
import { RawAgent } from "../../support/raw-agent.ts";

/** Connections in handshake the hub of this suite holds at a time. */
const MAX_HANDSHAKES = 50;
/** Silent TCP connections; `SEAM_HALF_OPEN=10000` for the long form. */
const HALF_OPEN = Number(process.env["SEAM_HALF_OPEN"] ?? 300);

describe("a hub among hostile peers", () => {
  let rig: FederationRig;
  let hub: Hub;
  let neighbour: Spoke;
  let neighbourSession: string | undefined;
  let tls: TlsMaterial;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    rig = await FederationRig.create(["tenant-1", "tenant-2"]);
    ({ hub } = await rig.hub({
      limits: {
        perCluster: { perSecond: 100, burst: 100 },
        connections: {
          handshakeMs: 1_000,
          firstCallMs: 1_000,
          maxHandshakes: MAX_HANDSHAKES,
          accept: { perSecond: 20_000, burst: 20_000 },
          overheadBytesPerSecond: 128 * 1024,
        },
      },
    }));
    ({ spoke: neighbour } = await rig.spoke("tenant-2"));
    await until(() => neighbour.status().connected, "the neighbour is connected");
    neighbourSession = hub.view.agent("tenant-2")?.sessionId;
    tls = await rig.tenantTls("tenant-1");
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    // Whatever a peer did, the other tenant's stream was not touched and is served.
    expect(neighbour.status().connected).toBe(true);
    expect(hub.view.agent("tenant-2")?.sessionId).toBe(neighbourSession);
    const version = rig.desired.put("tenant-2", "PackInstalled", "web", Buffer.from(`${Math.random()}`));
    await until(
      () => Number(rig.facts.item("tenant-2", "PackInstalled/web")?.version ?? 0n) === version,
      "the neighbour is served",
    );
  });
  afterAll(() => rig.close());

  const refused = (reason: string): number => rig.metrics.counts.get(`tls_connections_refused_total ${reason}`) ?? 0;

  /** Waits until one more connection was refused for this reason. */
  async function refusedOnce(reason: string, before: number): Promise<void> {
    await until(() => refused(reason) > before, `one is refused: ${reason}`);
    expect(rig.recorded.lines.some((line) => line.includes(`reason=${reason}`))).toBe(true);
  }

  it("ends a TCP connection that never speaks: HandshakeTimeout", async () => {
    const before = refused("HandshakeTimeout");
    sockets.push(connect(rig.port, "127.0.0.1"));
    await refusedOnce("HandshakeTimeout", before);
  });

  it("ends a TLS connection that never sends SETTINGS: NoCall", async () => {
    const before = refused("NoCall");
    const peer = await Http2Peer.connect(rig.port, tls);
    await refusedOnce("NoCall", before);
    await until(() => peer.closed, "the connection ends");
  });

  it("ends an HTTP/2 connection that never calls: NoCall", async () => {
    const before = refused("NoCall");
    const peer = await Http2Peer.connect(rig.port, tls);
    peer.preface();
    await refusedOnce("NoCall", before);
    await until(() => peer.closed, "the connection ends");
  });

  it.each([
    ["pings", FrameType.ping, 8, 17],
    ["settings", FrameType.settings, 6, 9],
  ])("ends a flood of %s that waits for its answers: Flood", async (_name, type, payloadBytes, answerBytes) => {
    const before = refused("Flood");
    const peer = await Http2Peer.connect(rig.port, tls);
    peer.preface();
    peer.send(openStream(1));
    // SETTINGS_MAX_CONCURRENT_STREAMS = 0, or eight bytes of ping.
    const payload = payloadBytes === 6 ? Buffer.from([0, 3, 0, 0, 0, 0]) : Buffer.alloc(payloadBytes);
    const one = frame(type, 0, 0, payload);
    peer.flood(Buffer.concat(Array.from({ length: 500 }, () => one)), 500 * answerBytes);
    await refusedOnce("Flood", before);
    await until(() => peer.closed, "the connection ends");
  });

  it("bears a burst no larger than one message, since that much of an honest frame may be on its way", async () => {
    const before = refused("Flood");
    const peer = await Http2Peer.connect(rig.port, tls);
    peer.preface();
    peer.send(openStream(1));
    const pings = Buffer.concat(Array.from({ length: 500 }, () => frame(FrameType.ping, 0, 0, Buffer.alloc(8))));
    const beforeBytes = peer.bytes;
    // 680,000 bytes: more than five seconds' allowance, less than one message.
    for (let round = 1; round <= 80; round++) {
      peer.send(pings);
      await until(() => peer.bytes >= beforeBytes + round * pings.length, "the pings are answered");
    }
    const lookedMs = performance.now() + 1_200;
    await until(() => performance.now() > lookedMs, "the listener has looked");
    expect([peer.closed, refused("Flood")]).toEqual([false, before]);
    peer.socket.destroy();
  });

  it("ends a flood that does not wait for its answers, in bounded memory", async () => {
    const peer = await Http2Peer.connect(rig.port, tls);
    peer.preface();
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => frame(FrameType.ping, 0, 0, Buffer.alloc(8))));
    peer.socket.pause();
    for (let i = 0; i < 20 && !peer.closed; i++) peer.send(pings);
    await until(() => hub.connections === 1, "only the neighbour is left");
  });

  it("survives rapid reset: streams opened and reset at once", async () => {
    const peer = await Http2Peer.connect(rig.port, tls);
    peer.preface();
    for (let stream = 1; stream < 20_000 && !peer.closed; stream += 2)
      peer.send(openStream(stream), frame(FrameType.reset, 0, stream, Buffer.from([0, 0, 0, 8])));
    await until(() => peer.closed, "the connection ends");
    await until(() => hub.view.agent("tenant-1")?.connected !== true, "no session of it is left");
  });

  it("ends a connection whose headers never end", async () => {
    const peer = await Http2Peer.connect(rig.port, tls);
    peer.preface();
    const block = headerBlock({ "x-bomb": "b".repeat(8_000) });
    peer.send(frame(FrameType.headers, 0, 1, headerBlock({ ":method": "POST" })));
    for (let i = 0; i < 2_000 && !peer.closed; i++) peer.send(frame(FrameType.continuation, 0, 1, block));
    await until(() => peer.closed, "the connection ends");
  });

  it("releases the session of a connection that is reset in mid-frame", async () => {
    const peer = await Http2Peer.connect(rig.port, tls);
    peer.preface();
    peer.send(openStream(1));
    // A gRPC message of 1,000 bytes of which ten come.
    peer.send(frame(FrameType.data, 0, 1, Buffer.concat([Buffer.from([0, 0, 0, 3, 232]), Buffer.alloc(10)])));
    await until(() => rig.recorded.lines.some((line) => line.includes("stream accepted")), "the stream is accepted");
    peer.socket.destroy();
    await until(() => hub.connections === 1, "only the neighbour is left");
  });

  it(`lets honest peers in past ${HALF_OPEN} half-open connections`, async () => {
    const ended = (): number => refused("HandshakeCrowded") + refused("HandshakeTimeout");
    const [before, crowded] = [ended(), refused("HandshakeCrowded")];
    for (let i = 0; i < HALF_OPEN; i++) {
      const socket = connect(rig.port, "127.0.0.1");
      socket.on("error", () => {
        // it is being ended
      });
      sockets.push(socket);
      // As many at a time as a listener's backlog takes.
      if (i % 100 === 99) await until(() => !socket.connecting, "the kernel takes them");
    }
    await until(() => ended() >= before + HALF_OPEN - MAX_HANDSHAKES, "all but the newest are ended", 120_000);
    expect(refused("HandshakeCrowded")).toBeGreaterThan(crowded);
    const agent = await RawAgent.dial(rig, tls);
    await agent.welcomed("tenant-1");
    agent.pipe?.destroy("done", 0);
  }, 180_000);

  it.each<
    [string, (sessionId: string) => Parameters<typeof create<typeof EnvelopeSchema>>[1], ProtocolError_Code, RegExp]
  >([
    [
      "a session id of another stream",
      () => ({ sessionId: neighbourSession ?? "", seq: 2n }),
      ProtocolError_Code.INVALID,
      /session_id/,
    ],
    [
      "a forged term",
      (sessionId) => ({ sessionId, seq: 2n, term: 99n }),
      ProtocolError_Code.INVALID,
      /term: 0 from an agent, found 99/,
    ],
    ["a wrong number", (sessionId) => ({ sessionId, seq: 7n }), ProtocolError_Code.SEQUENCE, /seq/],
    [
      "an acknowledgement from the future",
      (sessionId) => ({ sessionId, seq: 2n, ack: 1_000n }),
      ProtocolError_Code.ACKNOWLEDGEMENT,
      /ack: at most/,
    ],
  ])("answers %s with ProtocolError and ends only that stream", async (_name, make, code, text) => {
    const agent = await RawAgent.dial(rig, tls);
    const sessionId = await agent.welcomed("tenant-1");
    agent.send({ payload: { case: "itemReport", value: create(ItemReportSchema) }, ...make(sessionId) });
    await agent.ended();
    expect(agent.last("protocolError")?.value).toMatchObject({ code, message: expect.stringMatching(text) as string });
  });

  it("answers text that is no UTF-8 with ProtocolError INVALID", async () => {
    const agent = await RawAgent.dial(rig, tls);
    await agent.welcomed("tenant-1");
    // Field 1 of Envelope, session_id: two bytes that no UTF-8 text holds.
    agent.raw(Buffer.from([0x0a, 0x02, 0xff, 0xfe]));
    await agent.ended();
    expect(agent.last("protocolError")?.value).toMatchObject({ code: ProtocolError_Code.INVALID });
  });

  it("ends a Hello whose term no replica ever reached, and only that one", async () => {
    const agent = await RawAgent.dial(rig, tls);
    agent.hello("tenant-1", [1], { highestTerm: 2n ** 40n });
    await agent.ended();
    expect(agent.last("goodbye")?.value).toMatchObject({ code: Goodbye_Code.NOT_OWNER });
  });

  it.each<[string, Envelope["payload"]]>([
    [
      "PackReceiptReport",
      { case: "packReceiptReport", value: create(PackReceiptReportSchema, { receiptName: "web-tenant-2" }) },
    ],
    [
      "SnapshotReceiptReport",
      { case: "snapshotReceiptReport", value: create(SnapshotReceiptReportSchema, { contentHash: "stolen" }) },
    ],
    ["DriftReport", { case: "driftReport", value: create(DriftReportSchema, { signalName: "drift-web-tenant-2" }) }],
    [
      "CapabilityDeclaration",
      { case: "capabilityDeclaration", value: create(CapabilityDeclarationSchema, { agentVersion: "stolen" }) },
    ],
    [
      "ItemReport",
      {
        case: "itemReport",
        value: create(ItemReportSchema, {
          kind: "PackInstalled",
          name: "stolen",
          version: 1n,
          level: ItemReport_Level.HEALTHY,
        }),
      },
    ],
    ["AuditEventBatch", { case: "auditEventBatch", value: create(AuditEventBatchSchema, { epoch: 1n }) }],
  ])("keeps a %s about another cluster with the cluster of the certificate", async (_name, payload) => {
    const agent = await RawAgent.dial(rig, tls);
    const sessionId = await agent.welcomed("tenant-1");
    const before = snapshotOf(rig, "tenant-2");
    agent.raw(toBinary(EnvelopeSchema, create(EnvelopeSchema, { sessionId, seq: 2n, payload })));
    await until(
      () => agent.closed !== undefined || agent.frames.some(({ ack }) => ack >= 2n),
      "it is acknowledged or the stream ends",
    );
    expect(snapshotOf(rig, "tenant-2")).toEqual(before);
    agent.pipe?.destroy("done", 0);
  });
});

/** Everything stored under one cluster, by key. */
function snapshotOf({ facts }: FederationRig, cluster: string): readonly string[] {
  const keys = [
    ...facts.receipts.keys(),
    ...facts.snapshots.keys(),
    ...facts.drifts.keys(),
    ...facts.capabilities.keys(),
  ];
  const items = [...(facts.levels.get(cluster)?.keys() ?? [])];
  return [...keys.filter((key) => key.split("/")[0] === cluster), ...items].toSorted();
}
