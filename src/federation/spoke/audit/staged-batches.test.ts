import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RememberingTrail } from "../../../../test/support/remembering-trail.ts";
import { type TestTenantCluster, openTenantCluster } from "../../../../test/support/tenant-cluster.ts";
import { ConfigMap } from "../../../api/builtin.ts";
import { systemClock } from "../../../base/clock.ts";
import type { JsonObject } from "../../../base/json.ts";
import { silentLog } from "../../../base/log.ts";
import { SeededRandom } from "../../../base/random.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { readStagedBatch } from "./staged-batch.ts";
import { MALFORMED, startStagedBatches } from "./staged-batches.ts";

const PATIENT = { timeout: 20_000, interval: 20 };
const stop = new AbortController();
const trail = new RememberingTrail();
const logged: JsonObject[] = [];
let full = false;
let tenant: TestTenantCluster;
let closed: Promise<void>;

beforeAll(async () => {
  tenant = await openTenantCluster({ nodes: false });
  ({ closed } = startStagedBatches({
    cluster: tenant.cluster,
    facts: {
      audit: async (event) => {
        if (full) throw new Error("AuditLogFull");
        logged.push(event);
      },
    },
    trail,
    clock: systemClock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
  }));
});

afterAll(async () => {
  stop.abort();
  await closed;
  await tenant.close();
});

function batch(name: string, events: string) {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name,
      namespace: "ont-system",
      labels: { "seam.ontai.dev/audit-batch": "true" },
      annotations: { "seam.ontai.dev/batch-sequence": "7" },
    },
    data: { events },
  };
}

const stage = (name: string, events: string) => tenant.cluster.create(ConfigMap, batch(name, events));

async function annotations(name: string): Promise<Readonly<Record<string, string>> | undefined> {
  const held = await ifPresent(tenant.cluster.get(ConfigMap, { namespace: "ont-system", name }));
  return held && (held.metadata.annotations ?? {});
}

describe("staged audit batches", () => {
  it("go into the log with the producer's numbers, and are removed after that", async () => {
    full = true;
    await stage(
      "first",
      JSON.stringify([{ action: "rbac.denied", decision: "deny", subject: "eve", sequenceNumber: 41 }]),
    );
    await expect.poll(() => annotations("first"), PATIENT).toBeDefined();
    expect(logged).toEqual([]);
    full = false;
    await expect.poll(() => annotations("first"), PATIENT).toBeUndefined();
    expect(logged).toMatchObject([
      { action: "rbac.denied", subject: "eve", source: "ConfigMap first", sourceSequence: "41", sourceBatch: "7" },
    ]);
    expect(logged[0]?.["sequenceNumber"]).toBeUndefined();
    await expect.poll(() => trail.of("audit_batch.processed"), PATIENT).toMatchObject([{ details: { count: 1 } }]);
  });

  it("that cannot be read are marked with why and kept, and taken over once they are mended", async () => {
    await stage("broken", "{}");
    await expect
      .poll(async () => (await annotations("broken"))?.[MALFORMED], PATIENT)
      .toMatch(/^[0-9a-f]{12}: data\.events: a JSON array of events, found another value$/);
    expect(trail.of("audit_batch.malformed")).toHaveLength(1);
    const mended = JSON.stringify([{ action: "rbac.admitted", decision: "admit" }]);
    await tenant.cluster.patch(
      ConfigMap,
      { namespace: "ont-system", name: "broken" },
      { type: "merge", body: { data: { events: mended } } },
    );
    await expect.poll(() => annotations("broken"), PATIENT).toBeUndefined();
    expect(logged.at(-1)).toMatchObject({ action: "rbac.admitted", source: "ConfigMap broken" });
  });

  it.each([
    ["no JSON", "[", "data.events: a JSON array of events, found no JSON"],
    ["no object", "[1]", "data.events[0]: an object"],
    [
      "records that would close numbers of the log",
      '[{"action":"audit.gap","decision":"system","from":"1","to":"9"}]',
      "data.events[0].action: a text that does not begin with audit. or authz.",
    ],
    [
      "a decision that is none",
      '[{"action":"a","decision":"perhaps"}]',
      "data.events[0].decision: one of admit, deny, audit, system, allow",
    ],
    [
      "too many",
      JSON.stringify(Array.from({ length: 1_001 }, () => ({}))),
      "data.events: at most 1000 events, found 1001",
    ],
  ])("refuse %s", (_name, events, problem) => {
    expect(readStagedBatch(batch("b", events))).toEqual({ ok: false, problem });
  });
});
