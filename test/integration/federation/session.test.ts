import { X509Certificate } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  ItemReport_Level as Level,
  Nack_Class,
} from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { normalizeSerial } from "../../../src/trust/identity/certificate-serial.ts";
import { FederationRig, RecordingHandler, until } from "../../support/federation-rig.ts";
import { UNHEARD_EVENTS } from "../../support/plain-agent.ts";

const KEY = "PackInstalled/web";
let rig: FederationRig;
afterEach(() => rig.close());

function level(cluster: string, key = KEY): { level: number; version: number } {
  const report = rig.facts.item(cluster, key);
  return { level: report?.level ?? 0, version: Number(report?.version ?? 0n) };
}

async function healthy(cluster: string, version: number, key = KEY): Promise<void> {
  await until(
    () => level(cluster, key).level === Level.HEALTHY && level(cluster, key).version === version,
    `${key} healthy at version ${version}, is ${JSON.stringify(level(cluster, key))}`,
  );
}

function capability(agentLeader = "pod-0"): {
  agentVersion: string;
  agentLeader: string;
  capabilities: [];
  talosVersionsObserved: [];
  kubernetesVersionsObserved: [];
  simulatedNodes: boolean;
} {
  return {
    agentVersion: "1.0.0",
    agentLeader,
    capabilities: [],
    talosVersionsObserved: [],
    kubernetesVersionsObserved: [],
    simulatedNodes: false,
  };
}

describe("a session over real sockets", () => {
  it("brings an item with large refs through all four levels and follows a change", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    const layer = Buffer.alloc(3 * 1024 * 1024, "layer");
    const first = rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("one"), [layer]);
    const { hub } = await rig.hub();
    const handler = new RecordingHandler();
    const { spoke } = await rig.spoke("tenant-1", { handlers: [handler] });
    await healthy("tenant-1", first);
    const second = rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("two"), [layer]);
    await healthy("tenant-1", second);
    expect(handler.calls).toEqual([
      `verify web@${first}`,
      `apply web@${first}`,
      `healthy web@${first}`,
      `verify web@${second}`,
      `apply web@${second}`,
      `healthy web@${second}`,
    ]);
    expect(hub.view.agent("tenant-1")).toMatchObject({
      connected: true,
      agentVersion: "1.0.0",
      held: { sequence: second },
      offered: { sequence: second },
      degradedReason: "",
    });
    expect(spoke.status()).toMatchObject({ connected: true, degraded: false });
    const removed = rig.desired.remove("tenant-1", "PackInstalled", "web");
    await until(() => handler.calls.includes(`remove web@${removed}`), "the tombstone is handled");
  });

  it("carries facts and audit events up, in order and once", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    const { hub } = await rig.hub();
    const { spoke } = await rig.spoke("tenant-1");
    await spoke.outbox.capability(capability());
    await Promise.all(
      Array.from({ length: 250 }, (_, i) => spoke.outbox.audit({ action: "test", decision: "deny", i })),
    );
    await until(() => rig.facts.capabilities.get("tenant-1")?.reportVersion === 1n, "the declaration is stored");
    await until(() => hub.view.agent("tenant-1")?.auditStoredThrough === 250n, "all audit events are stored");
    await until(() => spoke.status().session?.audit.ackedThrough === 250n, "the agent knows it");
    await expect.poll(async () => (await spoke.storeStatus()).pendingFacts, { timeout: 15_000 }).toBe(0);
  });

  it("puts a revocation in force and acknowledges it", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    await rig.hub();
    const seen: string[] = [];
    await rig.spoke("tenant-1", {
      events: {
        ...UNHEARD_EVENTS,
        revoke: async ({ target, name, minSerial, serial }) => {
          seen.push(`${serial} ${target}/${name} below ${minSerial}`);
          return { applied: true, detail: "dropped" };
        },
      },
    });
    rig.revocations.revokePack("tenant-1", "web", 4);
    await until(() => rig.revocations.outcomes.length === 1, "the revocation is acknowledged");
    expect(rig.revocations.outcomes).toEqual(["tenant-1 1 true dropped"]);
    expect(seen).toEqual(["1 PackInstalled/web below 4"]);
  });

  it("quarantines a poison item by name while others proceed, and tries it again when an operator says so", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    let poisoned = true;
    const handler = new RecordingHandler((body) =>
      body === "poison" && poisoned
        ? {
            ok: false,
            nack: { class: Nack_Class.UNTRUSTED, retryable: false, reason: "SIGNATURE_INVALID", detail: "not ours" },
          }
        : { ok: true },
    );
    await rig.hub();
    await rig.spoke("tenant-1", { handlers: [handler] });
    const bad = rig.desired.put("tenant-1", "PackInstalled", "bad", Buffer.from("poison"));
    const good = rig.desired.put("tenant-1", "PackInstalled", "good", Buffer.from("fine"));
    await healthy("tenant-1", good, "PackInstalled/good");
    await until(() => rig.facts.item("tenant-1", "PackInstalled/bad")?.nack !== undefined, "the refusal is stored");
    expect(rig.facts.item("tenant-1", "PackInstalled/bad")).toMatchObject({
      level: Level.RECEIVED,
      nack: { reason: "SIGNATURE_INVALID", retryable: false, detail: "not ours" },
    });
    const asked = handler.calls.filter((call) => call.includes("bad")).length;
    const again = rig.desired.put("tenant-1", "PackInstalled", "good", Buffer.from("finer"));
    await healthy("tenant-1", again, "PackInstalled/good");
    expect(handler.calls.filter((call) => call.includes("bad"))).toHaveLength(asked);
    poisoned = false;
    const digest = rig.facts.item("tenant-1", "PackInstalled/bad")?.digest ?? "";
    rig.retries.order("tenant-1", { id: "1", kind: "PackInstalled", name: "bad", digest, orderedAtMs: Date.now() });
    await healthy("tenant-1", bad, "PackInstalled/bad");
    await until(() => rig.retries.over.length === 1, "the order is over");
  });

  it("refuses a body whose bytes do not match its digest and keeps the last good one", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    await rig.hub();
    const handler = new RecordingHandler();
    await rig.spoke("tenant-1", { handlers: [handler] });
    const first = rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("good"));
    await healthy("tenant-1", first);
    // Larger than what rides with an offer, so that it is fetched; altered before the agent comes for it.
    const body = Buffer.alloc(300_000, "b");
    const listener = rig.desired.subscribe((cluster) => {
      const digest = rig.desired.current(cluster)?.document.items[0]?.digest ?? "";
      rig.desired.corrupt(digest, Buffer.alloc(300_000, "x"));
    });
    rig.desired.put("tenant-1", "PackInstalled", "web", body);
    listener();
    await until(() => rig.facts.item("tenant-1", KEY)?.nack !== undefined, "the altered body is refused");
    expect(rig.facts.item("tenant-1", KEY)?.nack?.reason).toMatch(/DIGEST/);
    expect(handler.calls.filter((call) => call.startsWith("apply"))).toEqual([`apply web@${first}`]);
  });
});

describe("a hub that lost its disk", () => {
  it("gets every acknowledged report again, and has the same as before, without anybody reporting anew", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    const version = rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("one"));
    const before = await rig.hub();
    const { spoke } = await rig.spoke("tenant-1");
    await spoke.outbox.capability(capability());
    await spoke.outbox.capability(capability("pod-1"));
    await healthy("tenant-1", version);
    await until(() => spoke.status().session?.pendingFacts === 0, "the declaration is acknowledged");
    const held = rig.facts.capabilities.get("tenant-1");
    expect(held).toMatchObject({ agentLeader: "pod-1", reportVersion: 2n });
    await before.stop();
    rig.facts.capabilities.clear();
    rig.facts.levels.clear();
    await rm(join(rig.directory, "audit"), { recursive: true });
    await rig.hub();
    await until(() => rig.facts.capabilities.has("tenant-1"), "the declaration is back", 30_000);
    expect(rig.facts.capabilities.get("tenant-1")).toEqual(held);
    await healthy("tenant-1", version);
    await until(() => spoke.status().session?.pendingFacts === 0, "and acknowledged");
  });
});

describe("ends and resumption", () => {
  it("resumes after the hub went away and came back, repeating nothing", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    const first = rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("one"));
    const before = await rig.hub();
    const handler = new RecordingHandler();
    const { spoke } = await rig.spoke("tenant-1", { handlers: [handler] });
    await healthy("tenant-1", first);
    await before.stop();
    await until(() => spoke.status().degraded, "the agent knows it is alone");
    await spoke.outbox.audit({ action: "while away", decision: "deny" });
    const second = rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("two"));
    const { hub } = await rig.hub();
    await healthy("tenant-1", second);
    await until(() => hub.view.agent("tenant-1")?.auditStoredThrough === 1n, "the audit event arrives");
    expect(handler.calls.filter((call) => call.endsWith(`web@${first}`))).toHaveLength(3);
    expect(handler.calls.filter((call) => call.endsWith(`web@${second}`))).toHaveLength(3);
  });

  it("continues after a restart of the agent from what its store holds", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    const first = rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("one"));
    const { hub } = await rig.hub();
    const one = await rig.spoke("tenant-1");
    await one.spoke.outbox.capability(capability("pod-0"));
    await healthy("tenant-1", first);
    await one.stop();
    await until(() => hub.view.agent("tenant-1")?.connected === false, "the hub sees it go");
    expect(hub.view.agent("tenant-1")?.degradedReason).toBe("Disconnected");
    const handler = new RecordingHandler();
    const two = await rig.spoke("tenant-1", { handlers: [handler] });
    await until(() => two.spoke.status().connected, "the agent is back");
    await two.spoke.outbox.capability(capability("pod-1"));
    await until(() => rig.facts.capabilities.get("tenant-1")?.reportVersion === 2n, "its counter went on");
    const second = rig.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("two"));
    await healthy("tenant-1", second);
    expect(handler.calls.filter((call) => call.startsWith("apply"))).toEqual([`apply web@${second}`]);
  });

  it("explains audit events it had to drop while it was alone, and the log goes on", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    const before = await rig.hub();
    const { spoke } = await rig.spoke("tenant-1", {
      store: { directory: join(rig.directory, "agent"), auditCapBytes: 60_000 },
    });
    await until(() => spoke.status().connected, "connected");
    await before.stop();
    const padding = "x".repeat(200);
    for (let round = 0; round < 20; round++)
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          spoke.outbox.audit({ action: "authz.decision", decision: i % 10 === 0 ? "deny" : "allow", round, padding }),
        ),
      );
    const alone = await spoke.storeStatus();
    expect(alone.auditDropped).toBeGreaterThan(20);
    expect(alone.auditBacklogBytes).toBeLessThanOrEqual(60_000);
    const { hub } = await rig.hub();
    await until(() => (hub.view.agent("tenant-1")?.auditStoredThrough ?? 0n) > 0n, "audit arrives");
    await until(
      () => spoke.status().session?.audit.ackedThrough === spoke.status().session?.audit.last,
      "all is stored",
    );
    const last = spoke.status().session?.audit.last ?? 0n;
    expect(last).toBeGreaterThan(100n);
    expect(hub.view.agent("tenant-1")?.auditStoredThrough).toBe(last);
    await spoke.outbox.audit({ action: "afterwards", decision: "deny" });
    await until(() => hub.view.agent("tenant-1")?.auditStoredThrough === last + 1n, "and it goes on");
    expect(rig.recorded.lines.filter((line) => line.includes("audit event refused"))).toEqual([]);
  });

  it("holds facts back while their store is away and delivers them afterwards", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    await rig.hub();
    rig.facts.failing = true;
    const { spoke } = await rig.spoke("tenant-1");
    await spoke.outbox.capability(capability());
    await until(() => rig.recorded.lines.some((line) => line.includes("fact could not be stored")), "a failed attempt");
    expect((await spoke.storeStatus()).pendingFacts).toBe(1);
    rig.facts.failing = false;
    await until(() => rig.facts.capabilities.has("tenant-1"), "the fact arrives");
  });

  it("sends the agent away within a second or two when its certificate is revoked, and only that agent", async () => {
    rig = await FederationRig.create(["tenant-1", "tenant-2"]);
    const { hub } = await rig.hub();
    const tls = await rig.tenantTls("tenant-1");
    const one = await rig.spoke("tenant-1", { tls: () => Promise.resolve(tls) });
    const other = await rig.spoke("tenant-2");
    await until(() => one.spoke.status().connected && other.spoke.status().connected, "both are connected");
    const session = hub.view.agent("tenant-2")?.sessionId;
    rig.tenants.deny("tenant-1", normalizeSerial(new X509Certificate(tls.certificatePem).serialNumber));
    await until(
      () => one.spoke.status().session?.lastEnd.includes("CertificateRevoked") === true,
      "it is told why",
      2_000,
    );
    expect(hub.view.agent("tenant-1")?.connected).toBe(false);
    expect(rig.metrics.counts.get("federation_refused_total CertificateRevoked")).toBe(1);
    expect(hub.view.agent("tenant-2")).toMatchObject({ connected: true, sessionId: session });
  });

  it("stops within a moment and leaves nothing behind", async () => {
    rig = await FederationRig.create(["tenant-1"]);
    const { stop, hub } = await rig.hub();
    const { spoke } = await rig.spoke("tenant-1");
    await until(() => spoke.status().connected, "connected");
    const started = performance.now();
    await stop();
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(hub.view.agent("tenant-1")?.connected).toBe(false);
    await until(() => spoke.status().session?.lastEnd.includes("stops") === true, "the agent was told why");
  });
});
