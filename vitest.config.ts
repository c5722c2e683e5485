import { defineConfig } from "vitest/config";

/**
 * Isolation costs about ten times the run (docs/measurements.md), so there is no module-level state to isolate.
 * Suites of whole meshes live in test/e2e and test/browser and run one at a time after the rest.
 */
export default defineConfig({
  test: {
    pool: "threads",
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["minimal", "./test/support/run-report.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "test/{integration,simulation,fuzz,conformance}/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/{e2e,browser}/**/*.test.ts"],
          pool: "forks",
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 300_000,
        },
      },
    ],
  },
});
