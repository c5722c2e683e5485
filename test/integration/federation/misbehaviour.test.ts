import { create, toBinary } from "@bufbuild/protobuf";
import { Client, Metadata } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AcknowledgeSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { EnvelopeSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import {
  Goodbye_Code,
  HelloSchema,
  ProtocolError_Code,
} from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Hub } from "../../../src/federation/hub/start-hub.ts";
import type { Spoke } from "../../../src/federation/spoke/start-spoke.ts";
import { clientCredentials } from "../../../src/trust/tls/client-credentials.ts";
import type { TlsMaterial } from "../../../src/trust/tls/tls-material.ts";
import { CertificateAuthority } from "../../../src/trust/ca/certificate-authority.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { FederationRig, until } from "../../support/federation-rig.ts";
import { RawAgent } from "../../support/raw-agent.ts";

describe("a hub among peers that misbehave", () => {
  let rig: FederationRig;
  let hub: Hub;
  let neighbour: Spoke;
  let neighbourSession: string | undefined;
  let tls: TlsMaterial;
  beforeAll(async () => {
    rig = await FederationRig.create(["tenant-1", "tenant-2"]);
    ({ hub } = await rig.hub());
    ({ spoke: neighbour } = await rig.spoke("tenant-2"));
    await until(() => neighbour.status().connected, "the neighbour is connected");
    neighbourSession = hub.view.agent("tenant-2")?.sessionId;
    tls = await rig.tenantTls("tenant-1");
  });
  afterEach(() => {
    // Whatever a peer did, the other tenant's stream was not touched.
    expect(neighbour.status().connected).toBe(true);
    expect(hub.view.agent("tenant-2")?.sessionId).toBe(neighbourSession);
  });
  afterAll(() => rig.close());

  it.each<[string, (agent: RawAgent) => Promise<void> | void, number, RegExp]>([
    ["a sequence gap", async (agent) => gap(agent), ProtocolError_Code.SEQUENCE, /seq/],
    [
      "garbage",
      (agent) => agent.raw(Buffer.from("\xff\xff\xff garbage")),
      ProtocolError_Code.INVALID,
      /an Envelope, found garbage/,
    ],
    [
      "a frame just over 1 MiB",
      (agent) => agent.raw(Buffer.alloc(1024 * 1024 + 1)),
      ProtocolError_Code.TOO_LARGE,
      /at most 1048576/,
    ],
    [
      "a frame before Hello",
      (agent) => agent.send({ payload: { case: "acknowledge", value: create(AcknowledgeSchema) } }),
      ProtocolError_Code.UNEXPECTED,
      /before Welcome/,
    ],
    [
      "an unknown protocol version",
      (agent) => agent.hello("tenant-1", [7]),
      ProtocolError_Code.VERSION,
      /contains one of 1, 2, 3, found \[7\]/,
    ],
    ["Hello twice", async (agent) => helloTwice(agent), ProtocolError_Code.UNEXPECTED, /once/],
    [
      "an acknowledgement of what was never sent",
      async (agent) => falseAck(agent),
      ProtocolError_Code.ACKNOWLEDGEMENT,
      /ack/,
    ],
  ])("answers %s with ProtocolError and destroys the stream", async (_name, misbehave, code, message) => {
    const agent = await RawAgent.dial(rig, tls);
    await misbehave(agent);
    await agent.ended();
    expect(agent.last("protocolError")?.value).toMatchObject({ code });
    expect(agent.last("protocolError")?.value.message).toMatch(message);
  });

  it("destroys the stream of a frame far over the limit while it is parsed", async () => {
    const client = new Client(`127.0.0.1:${rig.port}`, clientCredentials(tls), {
      "grpc.max_send_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
    });
    const raw = (bytes: Buffer): Buffer => bytes;
    const call = client.makeBidiStreamRequest(
      "/conductor.federation.v1alpha1.FederationService/Stream",
      raw,
      raw,
      new Metadata(),
      {},
    );
    const status = new Promise<string>((resolve) => call.once("error", (error: Error) => resolve(error.message)));
    call.write(Buffer.alloc(16 * 1024 * 1024));
    expect(await status).toMatch(/RESOURCE_EXHAUSTED|INTERNAL|UNAVAILABLE|CANCELLED/);
    client.close();
  });

  it("answers an unknown payload with a nack and keeps the stream", async () => {
    const agent = await RawAgent.dial(rig, tls);
    const sessionId = await agent.welcomed("tenant-1");
    const header = toBinary(EnvelopeSchema, create(EnvelopeSchema, { sessionId, seq: 2n }));
    // Field 900, length-delimited, empty: a payload from the future.
    agent.raw(Buffer.concat([header, Buffer.from([0xa2, 0x38, 0x00])]));
    await until(() => agent.last("frameNack") !== undefined, "the nack");
    expect(agent.last("frameNack")?.value).toMatchObject({ seq: 2n, nack: { reason: "UNKNOWN_PAYLOAD" } });
    expect(agent.closed).toBeUndefined();
    agent.pipe?.destroy("done", 0);
  });

  it("refuses a Hello that claims another cluster than the certificate", async () => {
    const agent = await RawAgent.dial(rig, tls);
    agent.hello("tenant-2");
    await agent.ended();
    expect(agent.last("goodbye")?.value).toMatchObject({ code: Goodbye_Code.IDENTITY_REFUSED });
    expect(agent.last("goodbye")?.value.message).toMatch(
      /"tenant-1" as in the certificate \(R-4\.4\), found "tenant-2"/,
    );
  });

  it("refuses the certificate of a cluster it does not know, at TLS accept, with a reason", async () => {
    const stranger = await rig.tenantTls("stranger");
    await expect(RawAgent.dial(rig, stranger).then((agent) => agent.welcomed("stranger"))).rejects.toThrow();
    await until(() => rig.metrics.counts.has("tls_connections_refused_total UnknownCluster"), "it is counted");
    expect(rig.recorded.lines.some((line) => line.includes("reason=UnknownCluster"))).toBe(true);
  });

  it("refuses a certificate of another CA", async () => {
    const other = await CertificateAuthority.create("other", { clock: systemClock });
    const issued = await other.issue({ kind: "tenant", cluster: "tenant-1" });
    await expect(
      RawAgent.dial(rig, { ...issued, caPem: rig.ca.certificatePem }).then((agent) => agent.welcomed("tenant-1")),
    ).rejects.toThrow();
    await until(() => rig.metrics.counts.has("tls_connections_refused_total CertificateUntrusted"), "it is counted");
  });

  it("lets a newer stream of the same agent supersede the older one", async () => {
    const first = await RawAgent.dial(rig, tls);
    await first.welcomed("tenant-1");
    const second = await RawAgent.dial(rig, tls);
    const sessionId = await second.welcomed("tenant-1");
    await first.ended();
    expect(first.last("goodbye")?.value).toMatchObject({ code: Goodbye_Code.SUPERSEDED, retryAfterMs: 30_000n });
    expect(hub.view.agent("tenant-1")).toMatchObject({ connected: true, sessionId });
    second.pipe?.destroy("done", 0);
  });

  it("does not keep more than the window for a peer that stops reading, and serves others", async () => {
    rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.alloc(4 * 1024 * 1024, "w"));
    const frozen = await RawAgent.dial(rig, tls);
    const sessionId = await frozen.welcomed("tenant-1");
    await until(() => frozen.last("indexOffer") !== undefined, "the offer");
    const digest = rig.desired.current("tenant-1")?.document.items[0]?.digest ?? "";
    frozen.pipe?.pause();
    frozen.send({
      sessionId,
      seq: 2n,
      payload: {
        case: "blobFetch",
        value: { $typeName: "conductor.federation.v1alpha1.BlobFetch", digest, offset: 0n },
      },
    });
    await until(() => (hub.view.agent("tenant-1")?.queuedBytes ?? 0) > 0, "chunks are under way");
    const version = rig.desired.put("tenant-2", "PackInstalled", "web", Buffer.from("small"));
    await until(
      () => Number(rig.facts.item("tenant-2", "PackInstalled/web")?.version ?? 0n) === version,
      "the neighbour is served",
    );
    expect(hub.view.agent("tenant-1")?.queuedBytes).toBeLessThanOrEqual(1024 * 1024);
    frozen.pipe?.destroy("done", 0);
  });
});

describe("a frozen peer", () => {
  it("is found by missing signs of life on the hub and loses its stream; it comes back by itself", async () => {
    const rig = await FederationRig.create(["tenant-1", "tenant-2"]);
    const { hub } = await rig.hub({ limits: { heartbeatIntervalMs: 100 } });
    const { spoke } = await rig.spoke("tenant-2");
    const frozen = await RawAgent.dial(rig, await rig.tenantTls("tenant-1"));
    await frozen.welcomed("tenant-1");
    // It never answers a heartbeat again, as after SIGSTOP.
    await until(() => hub.view.agent("tenant-1")?.connected === false, "the hub gives it up", 5_000);
    expect(hub.view.agent("tenant-1")?.degradedReason).toBe("HeartbeatMissed");
    await frozen.ended();
    expect(spoke.status().connected).toBe(true);
    expect(hub.view.agent("tenant-2")?.rttMs).toBeGreaterThan(0);
    await rig.close();
  });
});

describe("admission", () => {
  it("answers streams beyond the rate with a retry-after that grows with their place in the queue", async () => {
    const clusters = Array.from({ length: 6 }, (_, i) => `tenant-${i}`);
    const rig = await FederationRig.create(clusters);
    // Far slower than any test machine: no token comes back while the six dial.
    await rig.hub({ limits: { admission: { perSecond: 0.01, burst: 2 }, perCluster: { perSecond: 10, burst: 10 } } });
    const agents = await Promise.all(clusters.map(async (cluster) => RawAgent.dial(rig, await rig.tenantTls(cluster))));
    await until(() => agents.filter(({ closed }) => closed !== undefined).length === 4, "four are sent away");
    const waits = agents.flatMap((agent) => {
      const goodbye = agent.last("goodbye")?.value;
      return goodbye?.code === Goodbye_Code.OVERLOADED ? [Number(goodbye.retryAfterMs)] : [];
    });
    expect(waits).toHaveLength(4);
    expect(Math.max(...waits)).toBeGreaterThan(2 * Math.min(...waits));
    expect(rig.metrics.counts.get("federation_refused_total AdmissionRate")).toBe(4);
    for (const agent of agents) agent.pipe?.destroy("done", 0);
    await rig.close();
  });

  it("lets agents that were sent away come back by themselves", async () => {
    const clusters = ["tenant-0", "tenant-1", "tenant-2"];
    const rig = await FederationRig.create(clusters);
    const { hub } = await rig.hub({
      limits: { admission: { perSecond: 3, burst: 1 }, perCluster: { perSecond: 10, burst: 10 } },
    });
    await Promise.all(clusters.map((cluster) => rig.spoke(cluster)));
    await until(() => hub.view.agents().filter(({ connected }) => connected).length === 3, "all are in", 20_000);
    await rig.close();
  });
});

async function gap(agent: RawAgent): Promise<void> {
  const sessionId = await agent.welcomed("tenant-1");
  agent.send({
    sessionId,
    seq: 5n,
    payload: {
      case: "blobFetch",
      value: { $typeName: "conductor.federation.v1alpha1.BlobFetch", digest: "", offset: 0n },
    },
  });
}

async function helloTwice(agent: RawAgent): Promise<void> {
  const sessionId = await agent.welcomed("tenant-1");
  agent.send({ sessionId, seq: 2n, payload: { case: "hello", value: create(HelloSchema, {}) } });
}

async function falseAck(agent: RawAgent): Promise<void> {
  const sessionId = await agent.welcomed("tenant-1");
  agent.send({ sessionId, ack: 99n, payload: { case: "acknowledge", value: create(AcknowledgeSchema) } });
}
