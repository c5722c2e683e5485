import { describe, expect, it } from "vitest";
import { ManualClock } from "./clock.ts";
import { digestOf, isDigest, sha256Hex } from "./digest.ts";
import { SeamError, errorMessage } from "./errors.ts";
import { ulid, uuidV4, uuidV7 } from "./ids.ts";
import { SeededRandom } from "./random.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("ids", () => {
  it("are UUIDs of their version, with all random bits in use", () => {
    const random = new SeededRandom(5);
    const ids = Array.from({ length: 200 }, () => uuidV4(random));
    expect(new Set(ids).size).toBe(200);
    for (const id of ids) expect(UUID.exec(id)?.[1]).toBe("4");
    expect(UUID.exec(uuidV7(new ManualClock(), random))?.[1]).toBe("7");
  });

  it("carry the time of RFC 9562 appendix A.6 in version 7, and sort by it", () => {
    const random = new SeededRandom(5);
    const clock = new ManualClock(0x017f22e279b0);
    expect(uuidV7(clock, random).slice(0, 13)).toBe("017f22e2-79b0");
    const earlier = [uuidV7(clock, random), ulid(clock, random)] as const;
    clock.jumpWall(1);
    const later = [uuidV7(clock, random), ulid(clock, random)] as const;
    expect(earlier[0] < later[0]).toBe(true);
    expect(earlier[1] < later[1]).toBe(true);
  });

  it("are 26 Crockford digits as ULIDs, the first ten the milliseconds", () => {
    const id = ulid(new ManualClock(1_469_918_176_385), new SeededRandom(5));
    expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(id.slice(0, 10)).toBe("01ARYZ6S41");
  });
});

describe("digests", () => {
  it("match FIPS 180-2's example in the OCI form", () => {
    const hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    expect(sha256Hex("abc")).toBe(hex);
    expect(digestOf(Buffer.from("abc"))).toBe(`sha256:${hex}`);
  });

  it("are recognised in exactly one form", () => {
    const good = digestOf("");
    expect(isDigest(good)).toBe(true);
    for (const bad of [good.toUpperCase(), good.slice(0, -1), `${good}0`, good.slice(7), `${good}\n`, ""])
      expect(isDigest(bad)).toBe(false);
  });
});

describe("SeamError", () => {
  it("reads as object, field, expectation and remedy", () => {
    const error = new SeamError({
      reason: "PortBusy",
      object: "port 9443",
      field: "--port-offset",
      expected: "must be free",
      remedy: "choose another offset",
    });
    expect(error.message).toBe("port 9443: --port-offset: must be free; choose another offset");
    expect(error.reason).toBe("PortBusy");
    expect(new SeamError({ reason: "X", object: "a", expected: "b" }).message).toBe("a: b");
    expect([errorMessage(error), errorMessage("text"), errorMessage(undefined)]).toEqual([
      error.message,
      "text",
      "undefined",
    ]);
  });
});
