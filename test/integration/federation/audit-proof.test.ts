import { expect, it } from "vitest";
import { NO_POSTGRES, PostgresServer, postgresPrograms } from "../../support/postgres-server.ts";
import { proveAudit } from "../../audit-proof/prove-audit.ts";

const OPTIONS = { agents: 2, kills: 4 } as const;

it("loses no audit event and stores none twice when agents and hub are killed", { timeout: 180_000 }, async () => {
  const proof = await proveAudit({ ...OPTIONS, events: 30_000, seed: 7 });
  expect(proof.confirmed).toBeGreaterThanOrEqual(30_000);
  expect(proof.stored).toBeGreaterThanOrEqual(proof.confirmed);
  expect(proof.agentKills).toBeGreaterThan(0);
  expect(proof.hubKills).toBeGreaterThan(0);
});

it("does so on PostgreSQL", { timeout: 180_000 }, async (context) => {
  context.skip(postgresPrograms() === undefined, NO_POSTGRES);
  const server = await PostgresServer.start();
  try {
    const sink = { store: "postgres", target: await server.database("audit"), connections: 4 } as const;
    const proof = await proveAudit({ ...OPTIONS, events: 20_000, seed: 8, sink });
    expect(proof.stored).toBeGreaterThanOrEqual(20_000);
    expect(proof.hubKills).toBeGreaterThan(0);
  } finally {
    await server.close();
  }
});
