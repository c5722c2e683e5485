import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveTestApi, type TestApi } from "../../../test/support/served-api.ts";
import { verifyState } from "../embedded/backup/verify-state.ts";

describe("GET /backup", () => {
  let test: TestApi;
  beforeAll(async () => {
    test = await serveTestApi();
  });
  afterAll(() => test.close());

  it("sends the whole state as one sound file and leaves nothing behind", async () => {
    const connection = test.connect();
    const chunks: Uint8Array[] = [];
    for await (const chunk of await connection.read("/backup", new AbortController().signal)) chunks.push(chunk);
    const file = join(test.directory, "copy");
    await writeFile(file, Buffer.concat(chunks));
    const state = verifyState(file);
    expect(state.problems).toEqual([]);
    expect(state.objects["/namespaces"]).toBe(4);
    expect((await readdir(test.cluster.directory)).filter((name) => name.startsWith("backup"))).toEqual([]);
  });

  it("is for administrators only", async () => {
    const answer = await test.send("/backup", { certificate: test.bob });
    expect([answer.status, answer.json]).toMatchObject([
      403,
      { message: 'forbidden: User "bob" cannot get path "/backup"' },
    ]);
  });
});
