import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AcknowledgeSchema } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { create } from "@bufbuild/protobuf";
import { LANES } from "./lane.ts";
import { LaneQueue } from "./lane-queue.ts";
import {
  IN_FLIGHT_BYTES,
  MAX_FRAME_BYTES,
  QUEUED_BYTES,
  QUEUED_MESSAGES,
  RESERVED_REVOCATION_FRAMES,
  RESERVED_WINDOW_FRAMES,
  UNACKNOWLEDGED_BYTES,
  WINDOW_FRAMES,
} from "./limits.ts";
import type { Payload } from "./payload.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { SendWindow } from "./send-window.ts";

const payload: Payload = { case: "acknowledge", value: create(AcknowledgeSchema) };

describe("SendWindow", () => {
  it("never holds more frames or bytes than agreed, whatever is sent and acknowledged", () => {
    const action = fc.oneof(
      fc.record({ lane: fc.constantFrom(...LANES), bytes: fc.integer({ min: 0, max: 400_000 }) }),
      fc.record({ ack: fc.integer({ min: 0, max: 64 }) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 400 }), (actions) => {
        const window = new SendWindow<number>();
        const settled: number[] = [];
        let sent = 0;
        let broken = false;
        for (const one of actions) {
          if ("ack" in one) {
            const ack = Math.min(sent, settled.length + one.ack);
            broken ||= window.acknowledge(ack, (tag) => settled.push(tag)) !== undefined;
            continue;
          }
          const urgent = one.lane !== "update" && one.lane !== "bulk";
          if (!window.hasRoom(one.lane, one.bytes)) continue;
          const alone = window.bytes === 0;
          broken ||= window.send(one.bytes, 0, ++sent) !== sent;
          const reserved = urgent ? RESERVED_REVOCATION_FRAMES : RESERVED_WINDOW_FRAMES;
          broken ||= window.length > WINDOW_FRAMES - (one.lane === "revocation" ? 0 : reserved);
          broken ||= !urgent && !alone && window.bytes > IN_FLIGHT_BYTES;
          broken ||= one.lane !== "revocation" && window.bytes > MAX_FRAME_BYTES;
          broken ||= window.bytes > UNACKNOWLEDGED_BYTES;
        }
        expect(broken).toBe(false);
        expect(settled).toEqual(settled.map((_, at) => at + 1));
      }),
    );
  });

  it("lets one frame above the byte budget travel alone, and nothing of the lower lanes beside it", () => {
    const window = new SendWindow();
    expect(window.hasRoom("bulk", IN_FLIGHT_BYTES + 1)).toBe(true);
    window.send(IN_FLIGHT_BYTES + 1, 0, undefined);
    expect(window.hasRoom("update", 1)).toBe(false);
    expect(window.hasRoom("revocation", 1)).toBe(true);
  });

  it("holds at most a frame of full size for a peer that never acknowledges, and keeps room for revocations beside it", () => {
    const window = new SendWindow();
    window.send(MAX_FRAME_BYTES, 0, undefined);
    expect(window.hasRoom("command", 1)).toBe(false);
    expect(window.hasRoom("delete", 1)).toBe(false);
    expect(window.hasRoom("revocation", UNACKNOWLEDGED_BYTES - MAX_FRAME_BYTES)).toBe(true);
    expect(window.hasRoom("revocation", UNACKNOWLEDGED_BYTES - MAX_FRAME_BYTES + 1)).toBe(false);
    expect(window.acknowledge(1, () => {})).toBeUndefined();
    expect(window.hasRoom("delete", MAX_FRAME_BYTES)).toBe(true);
  });

  it("refuses acknowledgements of what was never sent, and ones that go down", () => {
    const window = new SendWindow();
    window.send(1, 0, undefined);
    expect(window.acknowledge(2, () => {})?.message).toBe("envelope ack: at most 1, found 2");
    expect(window.acknowledge(1, () => {})).toBeUndefined();
    expect(window.acknowledge(0, () => {})?.message).toBe("envelope ack: at least 1, found 0");
  });
});

describe("ReceiveWindow", () => {
  it("acknowledges exactly the contiguous durable prefix, whatever the order of durability", () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          Array.from({ length: 40 }, (_, at) => at + 1),
          { minLength: 40 },
        ),
        (order) => {
          const window = new ReceiveWindow();
          for (let seq = 1; seq <= 40; seq++) expect(window.receive(seq)).toBeUndefined();
          const durable = new Set<number>();
          for (const seq of order) {
            window.durable(seq);
            durable.add(seq);
            let expected = 0;
            while (durable.has(expected + 1)) expected++;
            expect(window.ack).toBe(expected);
          }
        },
      ),
    );
  });

  it("refuses gaps, repeats and one frame beyond the window", () => {
    const window = new ReceiveWindow();
    expect(window.receive(2)?.message).toBe("envelope seq: expected 1, found 2");
    for (let seq = 1; seq <= WINDOW_FRAMES; seq++) expect(window.receive(seq)).toBeUndefined();
    expect(window.receive(WINDOW_FRAMES)?.message).toBe(
      `envelope seq: expected ${WINDOW_FRAMES + 1}, found ${WINDOW_FRAMES}`,
    );
    expect(window.receive(WINDOW_FRAMES + 1)?.message).toBe(`at most ${WINDOW_FRAMES} unacknowledged frames`);
  });
});

describe("LaneQueue", () => {
  it("keeps one message per key, the newest, in the place of the first", () => {
    const queue = new LaneQueue<string>();
    queue.push("command", payload, 10, "a");
    queue.push("command", payload, 10, "b");
    queue.push("command", payload, 99, "a");
    expect(queue.length).toBe(2);
    expect(queue.bytes).toBe(109);
    expect(queue.shift("command")).toMatchObject({ key: "a", bytes: 99 });
    expect(queue.shift("command")).toMatchObject({ key: "b" });
    expect(queue.shift("command")).toBeUndefined();
    expect(queue.bytes).toBe(0);
  });

  it("refuses at the budget of bytes and of messages, and takes again when something left", () => {
    const bytes = new LaneQueue();
    expect(bytes.push("command", payload, QUEUED_BYTES)).toBe(true);
    expect(bytes.push("command", payload, 1)).toBe(false);
    bytes.shift("command");
    expect(bytes.push("command", payload, 1)).toBe(true);
    const count = new LaneQueue();
    for (let at = 0; at < QUEUED_MESSAGES; at++) expect(count.push("command", payload, 1)).toBe(true);
    expect(count.push("command", payload, 1)).toBe(false);
  });
});
