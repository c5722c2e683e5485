import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EDGE_GROUPS, contentOf, questionOf } from "../../oracle/edge-groups.ts";
import { FOUND_DIFFERENCES } from "../../oracle/found-differences.ts";
import { RealAuthorizer } from "../../oracle/real-authorizer.ts";
import { compareWithServer, worldsForServers } from "../../oracle/real-differential.ts";
import { realServerAssets, startRealApiServer } from "../../support/real-api-server.ts";

const assets = realServerAssets();
const SEED = 16;
const WORLDS = 12;
const QUESTIONS_PER_WORLD = 60;

// Skipped without kube-apiserver and etcd: KUBEBUILDER_ASSETS names their folder (.ci/real-parts builds them).
describe.skipIf(assets === undefined)("a real API server's RBAC authorizer decides the same", () => {
  let server: RealAuthorizer;
  const edges = [...EDGE_GROUPS, { number: 0, title: "found", cases: FOUND_DIFFERENCES }]
    .flatMap(({ number, cases }) => cases.map((edge, i) => ({ tag: `e${number}-${i}`, edge })))
    .filter(({ edge }) => edge.notForServers === undefined)
    .map(({ tag, edge: { name, grants, asks } }) => ({
      tag,
      name,
      content: contentOf(grants),
      questions: asks.map(([ask]) => questionOf(ask)),
      expected: asks.map(([, allowed]) => allowed),
    }));
  const worlds = worldsForServers(SEED, WORLDS, QUESTIONS_PER_WORLD);

  beforeAll(async () => {
    server = await RealAuthorizer.open(await startRealApiServer(assets ?? ""));
    await server.hold([...edges, ...worlds]);
  }, 180_000);

  afterAll(() => server?.close());

  it("every edge case of permissions §16 that objects can say", async () => {
    expect(edges.length).toBeGreaterThan(50);
    for (const { name, expected, ...world } of edges)
      expect({ name, answers: await server.answers(world) }).toEqual({ name, answers: expected });
  });

  it("random hostile worlds, no difference between server, index and scan", async () => {
    const { asked, allowed, differences } = await compareWithServer(server, worlds);
    expect(differences).toEqual([]);
    expect(asked).toBe(WORLDS * QUESTIONS_PER_WORLD);
    expect(allowed).toBeGreaterThan(20);
  });
});
