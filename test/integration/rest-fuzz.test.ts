import { setImmediate as turn } from "node:timers/promises";
import { Agent, request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CustomResourceDefinition } from "../../src/api/builtin.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { ADMIN_TOKEN, serveTestApi, type TestApi } from "../support/served-api.ts";
import { widgetCrd } from "../support/widget.ts";
import { Fuzzer } from "./fuzz/fuzzer.ts";

/** Requests of one run, and how many are under way at once. */
const REQUESTS = Number(process.env["FUZZ_REQUESTS"] ?? 20_000);
const AT_ONCE = 48;
/** A request that takes longer hangs. */
const HANG_MS = 10_000;
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

let test: TestApi;
let agent: Agent;

beforeAll(async () => {
  test = await serveTestApi();
  await test.cluster.create(CustomResourceDefinition, widgetCrd);
  agent = new Agent({ connections: AT_ONCE, connect: { ca: test.ca.certificatePem }, allowH2: false });
});
afterAll(async () => {
  await agent.destroy();
  await test.close();
});

describe("random and mutated requests", () => {
  it(`${REQUESTS} of them: each is answered, none with 500`, async () => {
    const fuzzer = new Fuzzer(new SeededRandom(SEED));
    const counted = new Map<number, number>();
    const bad: string[] = [];
    const before = process.memoryUsage().heapUsed;
    let sent = 0;
    const send = async (): Promise<void> => {
      while (sent < REQUESTS && bad.length === 0) {
        sent++;
        const { method, path, headers, body } = fuzzer.request();
        const shown = `${method} ${path} ${JSON.stringify(headers)} ${body.subarray(0, 300).toString()}`;
        try {
          const answer = await request(`${test.api.url}${path}`, {
            dispatcher: agent,
            method,
            headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "user-agent": "fuzz", ...headers },
            body: body.length === 0 ? null : body,
            headersTimeout: HANG_MS,
            bodyTimeout: HANG_MS,
          });
          const text = await answer.body.text();
          counted.set(answer.statusCode, (counted.get(answer.statusCode) ?? 0) + 1);
          if (answer.statusCode >= 500 && !ALLOWED.has(answer.statusCode))
            bad.push(`${answer.statusCode} ${shown} -> ${text}`);
        } catch (error) {
          bad.push(`${String(error)}: ${shown}`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, send));
    await turn();
    expect(bad).toEqual([]);
    const total = [...counted.values()].reduce((sum, count) => sum + count, 0);
    expect(total).toBe(REQUESTS);
    // Both sides of the API were met: what is accepted and what is refused.
    expect(counted.get(200) ?? 0).toBeGreaterThan(REQUESTS / 20);
    expect(counted.get(400) ?? 0).toBeGreaterThan(REQUESTS / 20);
    expect((await test.send("/readyz")).text).toBe("ok");
    const grown = process.memoryUsage().heapUsed - before;
    expect(grown).toBeLessThan(MAX_GROWTH_BYTES);
    const codes = [...counted].toSorted(([a], [b]) => a - b).map(([code, count]) => `${code}: ${count}`);
    process.stdout.write(`fuzz: ${total} requests, seed ${SEED}: ${codes.join(", ")}\n`);
  }, 120_000);
});

/** A version of the future ("too large resource version") is 504 in Kubernetes too. */
const ALLOWED: ReadonlySet<number> = new Set([504]);
const MAX_GROWTH_BYTES = 512 * 1024 * 1024;
