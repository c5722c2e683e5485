import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../../../test/support/management-cluster.ts";
import { parseCanonicalJson } from "../../../base/canonical-json.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { countedCluster } from "../../../cluster/counted-cluster.ts";
import { PAYLOAD_TYPES, decodeEnvelope, ed25519Signer, verifyEnvelope } from "../../../trust/dsse.ts";
import { KeyRing } from "../../../trust/keyring/key-ring.ts";
import { type RunningRevocationOutbox, startRevocationOutbox } from "./revocation-outbox.ts";
import {
  MAX_REVOCATIONS,
  type RevocationLedger,
  type RevocationOrder,
  acknowledgeRevocation,
  addRevocation,
  ledgerText,
  readLedger,
} from "./revocation-record.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const signer = ed25519Signer(privateKey);
let management: TestManagementCluster;

beforeAll(async () => {
  management = await openManagementCluster();
});
afterAll(() => management.close());

const start = (cluster: Cluster = management.cluster): Promise<RunningRevocationOutbox> =>
  startRevocationOutbox({
    cluster,
    signer,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    signal: management.signal,
  });

const order = (revocationId: string, more: Partial<RevocationOrder> = {}): RevocationOrder => ({
  revocationId,
  target: "PackInstalled",
  name: "web-tenant-1",
  namespace: "seam-tenant-tenant-1",
  reason: "CVE",
  floor: 4,
  orderedBy: "ann",
  orderedName: "web",
  boundedAtMs: 5_000,
  ...more,
});

const said = (applied: boolean, detail = "") => ({ applied, detail, effectiveUnixMs: 0 });

const serials = (outbox: RunningRevocationOutbox, after = 0n): readonly bigint[] =>
  outbox.pending("tenant-1", after).map(({ serial }) => serial);

describe("revocation outbox (R-4.50)", () => {
  it("is durable: another replica and a restarted one push the same revocations, in order", async () => {
    const first = await start();
    const second = await start();
    const told: string[] = [];
    second.subscribe((cluster) => told.push(cluster));
    await Promise.all([first.add("tenant-1", order("r-1")), first.add("tenant-1", order("r-2", { name: "db" }))]);
    expect(serials(first)).toEqual([1n, 2n]);
    await vi.waitFor(() => expect(serials(second)).toEqual([1n, 2n]));
    expect(told).toContain("tenant-1");
    expect(serials(await start())).toEqual([1n, 2n]);
    expect(serials(first, 1n)).toEqual([2n]);
  });

  it("gives one serial per revocation, also to two replicas that store at once, and none twice for one id", async () => {
    const [first, second] = [await start(), await start()];
    const records = await Promise.all([
      first.add("tenant-2", order("r-1")),
      second.add("tenant-2", order("r-2")),
      first.add("tenant-2", order("r-3")),
      second.add("tenant-2", order("r-1")),
    ]);
    expect(new Set(records.map(({ revocationId, serial }) => `${revocationId}/${serial}`)).size).toBe(3);
    expect(new Set(records.map(({ serial }) => serial))).toEqual(new Set([1, 2, 3]));
  });

  it("costs one write for each cluster and reads nothing, unless somebody else wrote meanwhile", async () => {
    const requests: string[] = [];
    const counted = countedCluster(management.cluster, {
      count: (_name, labels) => void requests.push(`${labels?.["verb"]} ${labels?.["resource"]}`),
      gauge: () => {},
      observe: () => {},
    });
    const outbox = await start({
      ...counted,
      get: (type, key) => {
        requests.push("get");
        return counted.get(type, key);
      },
    });
    await Promise.all(["tenant-4", "tenant-5", "tenant-6"].map((cluster) => outbox.add(cluster, order("r-1"))));
    await outbox.acknowledged("tenant-4", 1n, said(true));
    expect(requests).toEqual([...Array.from({ length: 3 }, () => "create configmaps"), "update configmaps"]);
  });

  it("stops pushing what took effect, keeps pushing what failed, and remembers why", async () => {
    const outbox = await start();
    await outbox.acknowledged("tenant-1", 1n, said(false, "disk full"));
    expect(serials(outbox)).toEqual([1n, 2n]);
    await outbox.acknowledged("tenant-1", 1n, said(true));
    expect(serials(outbox)).toEqual([2n]);
    await outbox.acknowledged("tenant-1", 1n, said(false, "too late to take back"));
    expect(serials(await start())).toEqual([2n]);
  });

  it("says the highest floor of each target, sorted, for the index, also after it was acknowledged", async () => {
    const outbox = await start();
    await outbox.add("tenant-3", order("r-1", { floor: 4 }));
    await outbox.add("tenant-3", order("r-2", { floor: 9 }));
    await outbox.add("tenant-3", order("r-3", { target: "Cluster", name: "tenant-3", floor: 0 }));
    await outbox.add("tenant-3", order("r-4", { name: "db", floor: 2 }));
    await outbox.acknowledged("tenant-3", 2n, said(true));
    expect(outbox.floors("tenant-3")).toEqual([
      { target: "PackInstalled", name: "db", floor: 2, serial: 4 },
      { target: "PackInstalled", name: "web-tenant-1", floor: 9, serial: 2 },
    ]);
    expect(outbox.floors("tenant-9")).toEqual([]);
  });

  it("signs every field for its cluster (R-4.54)", async () => {
    const outbox = await start();
    const push = outbox.pending("tenant-1", 1n)[0];
    const envelope = decodeEnvelope(push?.envelope ?? new Uint8Array());
    if (envelope === undefined) throw new Error("a push carries its envelope");
    expect(verifyEnvelope(envelope, PAYLOAD_TYPES.revocation, new KeyRing([publicKey])).ok).toBe(true);
    expect(parseCanonicalJson(envelope.body)).toMatchObject({
      cluster: "tenant-1",
      name: "db",
      serial: 2,
      minSerial: 4,
      minSequence: 0,
      effectiveUnixMs: Number(push?.effectiveUnixMs),
    });
  });
});

describe("revocation ledger", () => {
  it("drops what was acknowledged first, and refuses when nothing was", () => {
    let ledger: RevocationLedger = { lastSerial: 0, records: [] };
    const add = (): void => {
      ledger = addRevocation(ledger, "c", order(`r-${ledger.lastSerial}`), { nowMs: 1, signer }).ledger;
    };
    for (let i = 0; i < MAX_REVOCATIONS; i++) add();
    expect(add).toThrow(`at most ${MAX_REVOCATIONS} revocations without acknowledgement`);
    ledger = acknowledgeRevocation(ledger, 7, { applied: true, detail: "", atMs: 2 });
    add();
    expect(ledger.records).toHaveLength(MAX_REVOCATIONS);
    expect(ledger.records.some(({ serial }) => serial === 7)).toBe(false);
    expect(ledger.lastSerial).toBe(MAX_REVOCATIONS + 1);
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } };
    expect(readLedger({ ...object, data: { ledger: ledgerText(ledger) } })).toEqual(ledger);
  });

  it("refuses to begin again over a ledger it cannot read", () => {
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "ont-system", name: "x" } };
    for (const ledger of ["", "{", "[]", '{"lastSerial":1,"records":[{}]}'])
      expect(() => readLedger({ ...object, data: { ledger } })).toThrow(/ConfigMap ont-system\/x: data.ledger:/);
  });
});
