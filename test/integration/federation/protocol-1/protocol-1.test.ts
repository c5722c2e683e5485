import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ItemReport } from "../../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { decodeEnvelope } from "../../../../src/federation/wire/decode-envelope.ts";
import { AgentEnd, HubEnd, RecordedEnd, type Side, decodeRecording, playStory } from "./story.ts";

/** A stream between the first hub and the first agent that were ever released, as their bytes. Never recorded again. */
const recorded = decodeRecording(readFileSync(join(import.meta.dirname, "recorded.frames")));

/** Numbered payloads of one side, in order. */
const said = (frames: readonly { readonly bytes: Uint8Array }[]): readonly string[] =>
  frames.flatMap(({ bytes }) => {
    const decoded = decodeEnvelope(bytes);
    if (!decoded.ok) throw new Error(decoded.detail);
    const { seq, payload } = decoded.envelope;
    return seq === 0n ? [] : [`${seq} ${payload.case ?? "unknown"}`];
  });
const of = (side: Side) => recorded.filter(({ from }) => from === side);

describe("an agent that speaks only protocol version 1", () => {
  it("is served by today's hub: same answers, everything stored, no protocol error", () => {
    const hub = new HubEnd();
    const agent = new RecordedEnd(recorded, "agent");
    const frames = playStory(hub, agent);
    expect(said(frames.filter(({ from }) => from === "hub"))).toEqual(said(of("hub")));
    expect(hub.destroyed).toEqual(["PeerGoodbye: the agent stops"]);
    expect(hub.audit).toEqual([1n, 2n, 3n]);
    expect(hub.facts.map(({ kind }) => kind)).toEqual(["revocation", "items", "items", "items", "state"]);
    expect(hub.held).toBe(heldByRecordedAgent());
    const welcome = decodeEnvelope(agent.heard[0] ?? new Uint8Array());
    expect(welcome).toMatchObject({ envelope: { payload: { value: { protocolVersion: 1 } } } });
  });
});

describe("a hub that speaks only protocol version 1", () => {
  it("serves today's agent: same questions, everything in force, no protocol error", () => {
    const agent = new AgentEnd();
    const hub = new RecordedEnd(recorded, "hub");
    const frames = playStory(hub, agent);
    expect(said(frames.filter(({ from }) => from === "agent"))).toEqual(said(of("agent")));
    expect(agent.destroyed).toEqual(["Stopped: the agent stops"]);
    expect(agent.revoked).toEqual([1n]);
    expect(agent.answers).toEqual(["q-1"]);
    expect([...agent.store.items.values()].map(({ item, level }) => `${item.name}@${item.version} ${level}`)).toEqual([
      "db@2 healthy",
      "web@1 healthy",
    ]);
    expect(agent.store.auditAcked).toBe(3n);
    expect(agent.store.index?.digest).toBe(heldByRecordedAgent());
  });
});

/** What an agent of today says to a hub of today where the first agent said more: each index with what became of its items. */
const SHORTER = [
  "1 hello",
  "2 revocationAck",
  "3 blobFetch",
  "4 itemReports",
  "5 itemReport",
  "6 itemReports",
  "7 packReceiptReport",
  "8 auditEventBatch",
  "9 runnerConfigValidationRequest",
];

describe("the machines of today, and any two builds", () => {
  it.each([
    { hub: [1, 2, 3], agent: [1, 2, 3], version: 3 },
    { hub: [1, 2], agent: [1, 2, 3], version: 2 },
    { hub: [1, 2, 3], agent: [1, 2], version: 2 },
    { hub: [1], agent: [1, 2, 3], version: 1 },
    { hub: [1, 2, 3], agent: [1], version: 1 },
    { hub: [2, 3], agent: [1, 3], version: 3 },
  ])("tell the same story: hub $hub, agent $agent, version $version", ({ hub, agent, version }) => {
    const [hubEnd, agentEnd] = [new HubEnd(hub), new AgentEnd(agent)];
    const frames = playStory(hubEnd, agentEnd);
    const from = (side: Side): readonly string[] => said(frames.filter((frame) => frame.from === side));
    expect(from("agent")).toEqual(version < 3 ? said(of("agent")) : SHORTER);
    expect(from("hub")).toEqual(said(of("hub")));
    const welcome = frames.find((frame) => frame.from === "hub");
    expect(decodeEnvelope(welcome?.bytes ?? new Uint8Array())).toMatchObject({
      envelope: { payload: { case: "welcome", value: { protocolVersion: version } } },
    });
    expect(agentEnd.store.index?.digest).toBe(hubEnd.held);
    expect(hubEnd.audit).toEqual([1n, 2n, 3n]);
    const levels = new Map(hubEnd.facts.flatMap((fact) => (fact.kind === "items" ? fact.reports : [])).map(levelOf));
    expect([...levels]).toEqual([
      ["web@1", 4],
      ["db@1", 4],
      ["db@2", 4],
    ]);
  });

  it("have nothing to say to each other without a common version", () => {
    const [hubEnd, agentEnd] = [new HubEnd([2]), new AgentEnd([1, 3])];
    playStory(hubEnd, agentEnd);
    expect(hubEnd.destroyed).toEqual(["ProtocolError: hello protocol_versions: contains one of 2, found [1, 3]"]);
  });
});

function levelOf({ name, version, level }: ItemReport): readonly [string, number] {
  return [`${name}@${version}`, level];
}

/** Digest in the last IndexReport of the recording. */
function heldByRecordedAgent(): string {
  const reports = of("agent").flatMap(({ bytes }) => {
    const decoded = decodeEnvelope(bytes);
    return decoded.ok && decoded.envelope.payload.case === "indexReport" ? [decoded.envelope.payload.value.digest] : [];
  });
  return reports.at(-1) ?? "";
}
