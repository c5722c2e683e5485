import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { JsonValue } from "../../src/base/json.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { realServerAssets, startRealApiServer } from "../support/real-api-server.ts";
import { serveTestApi } from "../support/served-api.ts";
import { DIFFERENCES } from "./answers/differences.ts";
import { ANSWER_CASES, answersTo, prepare } from "./answers/run-cases.ts";

/** What kube-apiserver 1.36 answers to every case, one a line. `CONFORMANCE_RECORD=1` writes it anew from the real one. */
const RECORDED = join(import.meta.dirname, "answers/recorded.jsonl");
const recording = process.env["CONFORMANCE_RECORD"] === "1";

interface Target {
  readonly cluster: Cluster;
  readonly close: () => Promise<void>;
}

const documented: ReadonlySet<string> = new Set(DIFFERENCES.flatMap(({ cases }) => cases));

function answersOf(name: string, open: () => Promise<Target>, embedded: boolean): void {
  describe(name, () => {
    let target: Target;
    let recorded: ReadonlyMap<string, JsonValue>;
    const given = new Map<string, JsonValue>();
    let equal = 0;

    beforeAll(async () => {
      recorded = await readRecorded();
      target = await open();
      await prepare(target.cluster);
    }, 180_000);
    afterAll(async () => {
      await target.close();
      if (recording && !embedded) await writeRecorded(given);
      const counted = `${Object.keys(ANSWER_CASES).length} cases, ${equal} equal, ${embedded ? documented.size : 0} documented differences`;
      process.stdout.write(`${name.padEnd(28)} ${counted}\n`);
    });

    for (const id of Object.keys(ANSWER_CASES)) {
      it(id, async () => {
        const answers = await answersTo(target.cluster, id);
        given.set(id, [...answers]);
        if (recording && !embedded) return;
        const expected = recorded.get(id);
        const same = isDeepStrictEqual(answers, expected);
        if (same) equal++;
        // One that is no longer different comes off the list.
        const differs = embedded && documented.has(id);
        expect(differs ? { documented: !same } : answers).toEqual(differs ? { documented: true } : expected);
      });
    }
  });
}

async function readRecorded(): Promise<ReadonlyMap<string, JsonValue>> {
  const lines = (await readFile(RECORDED, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
  return new Map(
    lines.map((line) => {
      const { id, answers } = JSON.parse(line) as { id: string; answers: JsonValue };
      return [id, answers];
    }),
  );
}

async function writeRecorded(given: ReadonlyMap<string, JsonValue>): Promise<void> {
  await writeFile(RECORDED, [...given].map(([id, answers]) => `${JSON.stringify({ id, answers })}\n`).join(""));
}

describe("documented differences", () => {
  it("are about cases there are, each with one reason", () => {
    const ids = DIFFERENCES.flatMap(({ cases }) => cases);
    expect(ids.filter((id) => !(id in ANSWER_CASES))).toEqual([]);
    expect(ids.length).toBe(documented.size);
  });

  it("stand with their reasons in docs/embedded-cluster.md", async () => {
    const text = await readFile(join(import.meta.dirname, "../../docs/embedded-cluster.md"), "utf8");
    for (const { what } of DIFFERENCES) expect(text).toContain(what);
  });
});

answersOf(
  "answers in process",
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "seam-answers-"));
    const cluster = await openEmbeddedCluster({ directory, clock: systemClock, random: systemRandom, log: silentLog });
    return {
      cluster,
      close: async () => {
        await cluster.close();
        await rm(directory, { recursive: true });
      },
    };
  },
  true,
);

answersOf(
  "answers over REST",
  async () => {
    const test = await serveTestApi();
    return { cluster: test.connect(), close: () => test.close() };
  },
  true,
);

const assets = realServerAssets();
if (assets !== undefined) answersOf("answers of kube-apiserver", () => startRealApiServer(assets), false);
if (assets === undefined)
  describe("answers of kube-apiserver", () => {
    it("is skipped: no real server here, set KUBEBUILDER_ASSETS (.ci/real-parts)", (context) => {
      context.skip();
    });
  });
