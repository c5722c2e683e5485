import { describe, expect, it } from "vitest";
import { nextOwnership } from "./next-ownership.ts";

describe("nextOwnership", () => {
  it("goes on under the term of its own Lease", () => {
    expect(nextOwnership({ holder: "hub-1/p1.1", term: 7n }, "hub-1/p1.1", 7n)).toEqual({ take: false, term: 7n });
    expect(nextOwnership({ holder: "hub-1/p1.1", term: 7n }, "hub-1/p1.1", 0n)).toEqual({ take: false, term: 7n });
  });

  it("takes what another one holds, or nobody, under the next term", () => {
    expect(nextOwnership({ holder: "hub-2/p1.1", term: 7n }, "hub-1/p1.1", 7n)).toEqual({ take: true, term: 8n });
    expect(nextOwnership({ holder: undefined, term: 7n }, "hub-1/p1.1", 2n)).toEqual({ take: true, term: 8n });
    expect(nextOwnership(undefined, "hub-1/p1.1", 0n)).toEqual({ take: true, term: 1n });
  });

  it("gives no term that the agent has seen, also when the store was restored from a backup and names this very owner", () => {
    expect(nextOwnership({ holder: "hub-1/p1.1", term: 4n }, "hub-1/p1.1", 9n)).toEqual({ take: true, term: 10n });
    expect(nextOwnership({ holder: "hub-2/p1.1", term: 4n }, "hub-1/p1.1", 9n)).toEqual({ take: true, term: 10n });
    expect(nextOwnership(undefined, "hub-1/p1.1", 9n)).toEqual({ take: true, term: 10n });
  });
});
