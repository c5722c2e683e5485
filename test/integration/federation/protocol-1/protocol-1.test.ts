import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
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

describe("the machines of today", () => {
  it("tell the same story to each other with version 2", () => {
    const [hub, agent] = [new HubEnd(), new AgentEnd()];
    const frames = playStory(hub, agent);
    expect(said(frames)).toEqual(said(recorded));
    const welcome = frames.find(({ from }) => from === "hub");
    expect(decodeEnvelope(welcome?.bytes ?? new Uint8Array())).toMatchObject({
      envelope: { payload: { case: "welcome", value: { protocolVersion: 2 } } },
    });
    expect(agent.store.index?.digest).toBe(hub.held);
  });
});

/** Digest in the last IndexReport of the recording. */
function heldByRecordedAgent(): string {
  const reports = of("agent").flatMap(({ bytes }) => {
    const decoded = decodeEnvelope(bytes);
    return decoded.ok && decoded.envelope.payload.case === "indexReport" ? [decoded.envelope.payload.value.digest] : [];
  });
  return reports.at(-1) ?? "";
}
