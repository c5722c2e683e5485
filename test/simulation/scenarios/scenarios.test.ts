import { describe, it } from "vitest";
import { SCENARIOS } from "./scenarios.ts";

describe("directed scenarios of the simulator", () => {
  it.each(SCENARIOS)("$name", ({ run }) => run());
});
