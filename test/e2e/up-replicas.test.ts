import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { NO_POSTGRES, PostgresServer, postgresPrograms } from "../support/postgres-server.ts";
import { freeOffset, meshUp, seamctl } from "./run-seamctl.ts";

const root = mkdtempSync(join(tmpdir(), "seam-replicas-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Row {
  readonly cluster: string;
  readonly connected?: boolean;
  readonly replica?: string;
  readonly held?: { readonly digest?: string };
}

async function agents(directory: string): Promise<readonly Row[]> {
  const { stdout } = await seamctl("agents", "--dir", directory, "-o", "json");
  const answer = JSON.parse(stdout) as { readonly agents: readonly Row[] };
  return answer.agents;
}

describe("seamctl up --hub-replicas", () => {
  it("asks for one audit log for all", async () => {
    const result = await seamctl("up", "--dir", join(root, "sqlite"), "--hub-replicas", "2");
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(
      "--hub-replicas: several replicas need one audit log, and SQLite serves one replica; name a PostgreSQL with --audit-sink-url",
    );
  });

  it.skipIf(postgresPrograms() === undefined)(
    `serves agents through the loss of the replica that carries them${postgresPrograms() === undefined ? ` (${NO_POSTGRES})` : ""}`,
    async () => {
      const postgres = await PostgresServer.start();
      const directory = join(root, "mesh");
      try {
        await postgres.database("audit");
        const url = `postgres://seam@/audit?host=${postgres.socket}&port=${postgres.port}`;
        const flags = ["--tenants", "2", "--hub-replicas", "2", "--audit-sink-url", url];
        const up = await meshUp(directory, await freeOffset(), ...flags);
        try {
          const [first] = await agents(directory);
          const replica = first?.replica ?? "";
          expect(replica).toMatch(/^hub-[12]$/);
          const from = (await up.printed("ready in")).length;
          expect((await seamctl("process", "hold", replica, "--dir", directory)).code).toBe(0);
          await up.printed(`waiting: ${replica} is held down\n`, from);
          for (const row of await agents(directory)) {
            expect(row).toMatchObject({ connected: true });
            expect(row.replica).not.toBe(replica);
            expect(row.held?.digest).toMatch(/^sha256:/);
          }
          expect((await seamctl("process", "release", replica, "--dir", directory)).code).toBe(0);
          await up.printed("ready again", from);
          const verified = await seamctl("audit", "verify", "--dir", directory);
          expect([verified.code, verified.stderr]).toEqual([0, ""]);
        } finally {
          await up.stop();
        }
      } finally {
        await postgres.close();
      }
    },
  );
});
