import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openTenantCluster, type TestTenantCluster } from "../../../../test/support/tenant-cluster.ts";
import { TenantPacksRig } from "../../../../test/support/tenant-packs.ts";
import { ConfigMap, Deployment } from "../../../api/builtin.ts";
import { debounce, UNSETTLED } from "./drift-debounce.ts";
import { type DriftTimes, type PackDrift, startPackDrift } from "./pack-drift.ts";

const config = (namespace: string, name: string, value: string) =>
  `---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: ${namespace} }\ndata: { value: "${value}" }\n`;
const deployment = (namespace: string) => `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: ${namespace} }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: main, image: "web:1" }] } }
`;
/** A busy machine is no failure. */
const PATIENT = { timeout: 20_000, interval: 10 };
/** Watches do the work: passes are out of reach unless a test wants them. */
const TIMES: DriftTimes = { existenceMs: 600_000, fullMs: 600_000, recheckMs: 30, settleMs: 10 };

describe("debounce", () => {
  it("says nothing before two checks in a row agree", () => {
    const said: string[] = [];
    let state = UNSETTLED;
    for (const seen of [
      "InSync",
      "InSync",
      "Drifted",
      "InSync",
      "Drifted",
      "Drifted",
      "Drifted",
      "Unknown",
      "InSync",
      "InSync",
    ] as const) {
      const next = debounce(state, seen);
      state = next.state;
      said.push(next.transition ? `${state.settled}!` : (state.settled ?? "-"));
    }
    expect(said).toEqual([
      "-",
      "InSync!",
      "InSync",
      "InSync",
      "InSync",
      "Drifted!",
      "Drifted",
      "Drifted",
      "Drifted",
      "InSync!",
    ]);
  });
});

describe("debounce, in a burst", () => {
  it("counts checks that come too soon after each other as one", () => {
    const first = debounce(UNSETTLED, "Drifted").state;
    expect(debounce(first, "Drifted", false)).toEqual({ state: first, transition: false });
    expect(debounce(first, "Drifted", true).transition).toBe(true);
    expect(debounce(first, "InSync", false).state).toMatchObject({ seen: "InSync", consecutive: 1 });
  });
});

describe("startPackDrift", () => {
  let tenant: TestTenantCluster;
  let rig: TenantPacksRig;
  let stop = new AbortController();
  let drift: PackDrift | undefined;
  let count = 0;
  const fresh = () => `drift${++count}`;

  beforeAll(async () => {
    tenant = await openTenantCluster();
    rig = await TenantPacksRig.open(tenant);
  });
  afterEach(async () => {
    stop.abort();
    await drift?.closed;
    stop = new AbortController();
  });
  afterAll(() => tenant.close());

  const start = async (times: DriftTimes = TIMES, from = rig) => {
    drift = await startPackDrift({ ...from.parts, times, signal: stop.signal });
  };
  const status = async (name: string) => (await rig.parts.receipts.get(name))?.status;
  const settled = (name: string, expected: string) =>
    expect.poll(async () => (await status(name))?.driftStatus, PATIENT).toBe(expected);
  const reports = (name: string, from = rig) =>
    from.facts.drifts
      .filter((report) => report.packInstanceRef === name)
      .map((report) => (report.healthy ? "healthy" : `drifted ${report.reason}`));

  it("sees a deletion through its watch, and the healing after a correction with its outcome", async () => {
    const name = fresh();
    await start();
    await rig.deliver(await rig.pack(name, 1, deployment(name)));
    await settled(name, "InSync");
    expect(reports(name)).toEqual([]);
    await tenant.cluster.delete(Deployment, { namespace: name, name: "web" });
    await settled(name, "Drifted");
    expect(reports(name)).toEqual([`drifted Deployment ${name}/web is missing`]);
    expect(rig.facts.drifts.at(-1)).toMatchObject({
      signalName: `drift-${name}`,
      driftClass: "PackResources",
      affectedKind: "PackDelivery",
      affectedNamespace: "seam-system",
      affectedName: `${name}-v1`,
      consecutiveChecks: 2,
    });
    expect(await status(name)).toMatchObject({
      driftedResources: [{ kind: "Deployment", name: "web", change: "Missing" }],
    });
    await rig.deliver(rig.correction({ packInstalled: name, serial: 1, attempt: 1 }));
    await settled(name, "InSync");
    expect(reports(name).at(-1)).toBe("healthy");
    expect(rig.facts.drifts.at(-1)).toMatchObject({
      healthy: true,
      lastCorrectionId: "c-1/1",
      lastCorrectionApplied: true,
    });
    const told = rig.trail.records.filter(({ resource }) => resource === `packreceipts.seam.ontai.dev/${name}`);
    expect(told.map(({ action, code }) => `${action} ${code}`)).toEqual([
      "packreceipt.changed SignatureVerified",
      "packreceipt.changed PackHealthy",
      "drift.detected DriftDetected",
      "drift.resolved NoDrift",
    ]);
    expect((await status(name))?.driftSummary).toBeUndefined();
  });

  it("names changed fields and who changed them, and says nothing about what is not the pack's", async () => {
    const name = fresh();
    await start();
    await rig.deliver(await rig.pack(name, 1, config(name, "a", "1") + deployment(name)));
    await settled(name, "InSync");
    const key = { namespace: name, name: "web" };
    await tenant.cluster.patch(
      Deployment,
      key,
      { type: "merge", body: { metadata: { annotations: { theirs: "fine" } } } },
      { fieldManager: "kubectl-annotate" },
    );
    await tenant.cluster.patch(
      Deployment,
      key,
      { type: "merge", body: { spec: { replicas: 7 } } },
      { fieldManager: "kubectl-scale" },
    );
    await settled(name, "Drifted");
    expect(rig.facts.drifts.at(-1)?.driftedResources).toMatchObject([
      { paths: ["/spec/replicas"], lastManager: "kubectl-scale" },
    ]);
    await tenant.cluster.patch(
      Deployment,
      key,
      { type: "merge", body: { spec: { replicas: 2 } } },
      { fieldManager: "kubectl-scale" },
    );
    await settled(name, "InSync");
    expect(reports(name).at(-1)).toBe("healthy");
  });

  it("does not report what lasted shorter than two checks, nor while an attempt runs", async () => {
    const [name, other] = [fresh(), fresh()];
    await start({ ...TIMES, recheckMs: 400 });
    await rig.deliver(await rig.pack(name, 1, config(name, "a", "1")));
    await rig.deliver(await rig.pack(other, 1, config(other, "a", "1")));
    await settled(name, "InSync");
    await settled(other, "InSync");
    const set = (namespace: string, value: string) =>
      tenant.cluster.patch(ConfigMap, { namespace, name: "a" }, { type: "merge", body: { data: { value } } });
    await set(name, "2");
    await set(name, "1");
    // The other pack is the clock: once its drift is settled, two checks of the first would have been made as well.
    await set(other, "2");
    await settled(other, "Drifted");
    await rig.parts.attempts.run(name, async () => {
      await set(name, "3");
      await set(other, "1");
      await settled(other, "InSync");
      await set(name, "1");
    });
    await rig.parts.attempts.ended({ packInstalled: name });
    await set(other, "2");
    await settled(other, "Drifted");
    expect(reports(name)).toEqual([]);
    expect((await status(name))?.driftStatus).toBe("InSync");
  });

  it("finds by its passes what happened while nobody watched, and repeats the report while drifted", async () => {
    const name = fresh();
    await rig.deliver(await rig.pack(name, 1, config(name, "a", "1")));
    await tenant.cluster.patch(
      ConfigMap,
      { namespace: name, name: "a" },
      { type: "merge", body: { data: { value: "2" } } },
    );
    const again = await rig.restarted(tenant);
    await start({ ...TIMES, existenceMs: 50 }, again);
    await settled(name, "Drifted");
    await expect.poll(() => reports(name, again).length, PATIENT).toBeGreaterThan(2);
    const count = (await rig.parts.receipts.get(name))?.metadata.resourceVersion;
    await expect.poll(() => reports(name, again).length, PATIENT).toBeGreaterThan(4);
    // The receipt changes on transition only.
    expect((await rig.parts.receipts.get(name))?.metadata.resourceVersion).toBe(count);
  });

  it("reports the outcome of an attempt that ended before a restart", async () => {
    const name = fresh();
    await rig.deliver(await rig.pack(name, 1, config(name, "a", "1")));
    await rig.deliver(rig.correction({ packInstalled: name, serial: 1, attempt: 1 }));
    const again = await rig.restarted(tenant);
    await start(TIMES, again);
    await expect
      .poll(() => again.facts.drifts.find((report) => report.packInstanceRef === name), PATIENT)
      .toMatchObject({ healthy: true, lastCorrectionId: "c-1/1" });
  });
});
