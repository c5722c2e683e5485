import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EnvelopeSchema } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { decodeEnvelope } from "../../src/federation/wire/decode-envelope.ts";
import { FuzzedHub, type FuzzStep } from "./fuzzed-hub.ts";
import { FuzzedSpoke } from "./fuzzed-spoke.ts";
import { randomEnvelope } from "./random-message.ts";
import { signedIndexes } from "./signed-indexes.ts";

/** Together at least 100,000 events. */
const RUNS = 700;
/** Time for all runs and for shrinking one that fails, milliseconds. */
const LIMIT_MS = 60_000;
const STEPS = { minLength: 60, maxLength: 120 } as const;

const step: fc.Arbitrary<FuzzStep> = fc.record({ kind: fc.nat(15), seed: fc.nat() });
const steps = fc.array(step, { ...STEPS, size: "max" });
const indexes = signedIndexes();

describe("fuzz of what arrives", { timeout: 120_000 }, () => {
  it("decodes any bytes, or says why not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(), fc.nat(), (garbage, seed, at) => {
        const frame = Buffer.from(toBinary(EnvelopeSchema, randomEnvelope(new SeededRandom(seed))));
        const [position, value] = [at % Math.max(1, frame.length), garbage[0] ?? 255];
        const flipped = Buffer.from(frame);
        flipped[position] = (flipped[position] ?? 0) ^ value;
        for (const bytes of [garbage, frame, flipped, frame.subarray(0, position)]) {
          const decoded = decodeEnvelope(bytes);
          expect(decoded.ok || decoded.detail.startsWith("frame: an Envelope, found garbage")).toBe(true);
        }
        expect(decodeEnvelope(frame).ok).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("never makes the hub's machine throw or leave its rules", () => {
    let events = 0;
    let live = 0;
    fc.assert(
      fc.property(fc.nat(), steps, (seed, all) => {
        const hub = new FuzzedHub(seed, indexes);
        for (const one of all) {
          hub.step(one);
          events++;
          if (hub.live) live++;
        }
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: LIMIT_MS, markInterruptAsFailure: true },
    );
    expect(events).toBeGreaterThan(50_000);
    expect(live / events).toBeGreaterThan(0.2); // a fuzz that never gets in finds nothing
  });

  it("never makes the agent's machine throw or leave its rules, or its store go back", () => {
    let events = 0;
    let live = 0;
    fc.assert(
      fc.property(fc.nat(), steps, (seed, all) => {
        const spoke = new FuzzedSpoke(seed, indexes);
        spoke.step({ kind: 0, seed: 1 });
        for (const one of all) {
          spoke.step(one);
          events++;
          if (spoke.live) live++;
        }
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: LIMIT_MS, markInterruptAsFailure: true },
    );
    expect(events).toBeGreaterThan(50_000);
    expect(live / events).toBeGreaterThan(0.2);
  });
});
