import { describe, expect, it } from "vitest";
import { must } from "../world.ts";
import { play } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

describe("directed scenarios of the simulator", () => {
  it.each(SCENARIOS)("$name", (scenario) => play(scenario));

  it("shows what was broken and the end of the story", () => {
    const broken = {
      name: "an agent refuses work",
      run: (begin: Parameters<(typeof SCENARIOS)[number]["run"]>[0]) => {
        const small = begin();
        small.put("web", "apply");
        small.runFor(5_000);
        must(small.report("web")?.nack === undefined, "the agent refused it");
      },
    };
    expect(() => play(broken)).toThrow(
      /^the agent refused it\nits transcript ends:\n(.*\n)*.* tenant-1 apply PackInstalled\/web@2 POISON\n/,
    );
  });
});
