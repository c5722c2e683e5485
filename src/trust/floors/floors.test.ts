import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FloorFile } from "./floor-file.ts";
import { type Floor, NO_FLOOR, type OrderingValue, judgeOrdering, raiseAccepted, raiseMinimum } from "./ordering.ts";

const at = (epoch: number, sequence: number, digest = `d${epoch}.${sequence}`): OrderingValue => ({
  epoch,
  sequence,
  digest,
});
const code = (floor: Floor, value: OrderingValue): string => {
  const verdict = judgeOrdering(floor, value);
  return verdict.verdict === "refused" ? verdict.code : verdict.verdict;
};

/** How a position moved; another digest at the same place is a move sideways. */
function went(before: OrderingValue | undefined, after: OrderingValue | undefined): string {
  if (before === undefined) return "up";
  if (after === undefined || after.epoch < before.epoch) return "down or sideways";
  if (after.epoch > before.epoch || after.sequence > before.sequence) return "up";
  return after.sequence === before.sequence && after.digest === before.digest ? "nowhere" : "down or sideways";
}

describe("ordering", () => {
  const held: Floor = { accepted: at(5, 7), minimumSequence: 0 };
  it.each<[string, Floor, OrderingValue]>([
    ["newer", NO_FLOOR, at(1, 1)],
    ["newer", held, at(5, 8)],
    ["newer", held, at(6, 1)],
    ["equal", held, at(5, 7)],
    ["EQUIVOCATION", held, at(5, 7, "other")],
    ["ROLLBACK_REJECTED", held, at(5, 6)],
    ["ROLLBACK_REJECTED", held, at(4, 900)],
    ["REVOKED", { ...held, minimumSequence: 10 }, at(5, 9)],
    ["REVOKED", { ...held, minimumSequence: 10 }, at(5, 7)],
    ["newer", { ...held, minimumSequence: 10 }, at(5, 10)],
    ["newer", { ...held, minimumSequence: 10 }, at(6, 1)],
    ["REVOKED", { minimumSequence: 10 }, at(1, 9)],
    ["MALFORMED", NO_FLOOR, at(1, 0)],
    ["MALFORMED", NO_FLOOR, at(1.5, 1)],
    ["MALFORMED", NO_FLOOR, at(-1, 1)],
  ])("is %s", (expected, floor, value) => {
    expect(code(floor, value)).toBe(expected);
  });

  it("never lets a position go down, whatever is offered in whatever order", () => {
    const offers = fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 5 }), fc.constantFrom("a", "b"), fc.nat(4)));
    fc.assert(
      fc.property(offers, (sequence) => {
        let floor = NO_FLOOR;
        for (const [epoch, number, digest, revoke] of sequence) {
          const before = floor.accepted;
          const offered = at(epoch, number, digest);
          const verdict = judgeOrdering(floor, offered);
          if (verdict.verdict === "newer") floor = raiseAccepted(floor, offered);
          floor = raiseMinimum(floor, revoke);
          expect(went(before, floor.accepted)).not.toBe("down or sideways");
        }
      }),
    );
  });
});

describe("floor file", () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-floors-"));
    path = join(directory, "floors.json");
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it("refuses a rollback after a restart", async () => {
    const first = await FloorFile.open(path);
    expect((await first.accept("snapshot", at(5, 7))).verdict).toBe("newer");
    await first.revokeBelow("pack", 3);
    const second = await FloorFile.open(path);
    expect(await second.accept("snapshot", at(5, 6))).toMatchObject({ code: "ROLLBACK_REJECTED" });
    expect(await second.accept("snapshot", at(5, 7))).toEqual({ verdict: "equal" });
    expect(await second.accept("pack", at(5, 2))).toMatchObject({ code: "REVOKED" });
  });

  it("is durable when it answers: the file holds the floor of every resolved call, with concurrent callers too", async () => {
    const floors = await FloorFile.open(path);
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        await floors.accept(`name-${i}`, at(1, 1));
        expect(await readFile(path, "utf8")).toContain(`"name-${i}"`);
      }),
    );
    expect(await readdir(directory)).toEqual(["floors.json"]);
  });

  it("makes an equal offer wait for, or repeat, a write that failed", async () => {
    const floors = await FloorFile.open(join(directory, "blocked", "floors.json"));
    await writeFile(join(directory, "blocked"), "a file where the folder should be");
    await expect(floors.accept("snapshot", at(1, 1))).rejects.toThrow();
    await expect(floors.accept("snapshot", at(1, 1))).rejects.toThrow();
    await rm(join(directory, "blocked"));
    expect(await floors.accept("snapshot", at(1, 1))).toEqual({ verdict: "equal" });
    const reopened = await FloorFile.open(join(directory, "blocked", "floors.json"));
    expect(reopened.get("snapshot").accepted).toEqual(at(1, 1));
  });

  it.each(["", "{", '{"format":2,"floors":{}}', '{"format":1,"floors":{"a":{"accepted":{}}}}'])(
    "refuses to start without floors from a damaged file: %j",
    async (content) => {
      await writeFile(path, content);
      await expect(FloorFile.open(path)).rejects.toThrow(/floor file .*: must be readable/);
    },
  );
});
