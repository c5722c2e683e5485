/**
 * The floors of the house (docs/architecture.md): an import may only point down, and siblings of floor 5
 * never import each other.
 */
const floors = {
  base: [],
  api: ["base"],
  trust: ["base", "api"],
  cluster: ["base", "api"],
  controller: ["base", "api", "trust", "cluster"],
  packs: ["base", "api", "trust", "cluster"],
  permissions: ["base", "api", "trust", "cluster"],
  execution: ["base", "api", "trust", "cluster", "controller", "packs", "permissions"],
  federation: ["base", "api", "trust", "cluster", "controller", "packs", "permissions"],
};
const low = Object.keys(floors);
for (const room of ["dispatcher", "platform", "jobs", "ark", "governance", "ops"]) floors[room] = low;
floors.compiler = ["base", "api", "packs", "trust"];
floors.roles = Object.keys(floors).filter((room) => room !== "compiler");

module.exports = {
  forbidden: [
    {
      name: "no-circular",
      severity: "error",
      comment: "A cycle means two files hold one idea between them.",
      from: {},
      to: { circular: true },
    },
    ...Object.entries(floors).map(([room, below]) => ({
      name: `floor-${room}`,
      severity: "error",
      comment: `src/${room} may import only: ${[room, ...below].join(", ")}`,
      from: { path: `^src/${room}/` },
      to: { path: "^src/", pathNot: `^src/(${[room, ...below].join("|")})/` },
    })),
    {
      name: "base-does-no-io",
      severity: "error",
      comment: "Floor 0 is pure: no files, sockets or processes.",
      from: { path: "^src/base/", pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?(crypto|buffer|util|events|timers|timers/promises)$" },
    },
    {
      name: "pure-protocol",
      severity: "error",
      comment: "Session machines and the index are driven by the simulator: no I/O.",
      from: { path: "^src/federation/(session|index)/", pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?(crypto|buffer)$" },
    },
    {
      name: "not-to-test",
      severity: "error",
      from: { path: "^src/", pathNot: "\\.test\\.ts$" },
      to: { path: "(\\.test\\.ts$|^test/|^bench/)" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    parser: "swc",
    enhancedResolveOptions: { extensions: [".ts", ".js"], exportsFields: ["exports"], conditionNames: ["import"] },
  },
};
