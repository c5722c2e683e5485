import { fork } from "node:child_process";
import { type Socket, connect, createServer } from "node:net";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it } from "vitest";
import { EnvelopeSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { HelloSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { systemClock } from "../../../src/base/clock.ts";
import type { Hub } from "../../../src/federation/hub/start-hub.ts";
import { dialStream } from "../../../src/federation/wire/dial-stream.ts";
import type { TlsMaterial } from "../../../src/trust/tls/tls-material.ts";
import type { AgentChildOptions } from "../federation/agent-child.ts";
import { FederationRig, until } from "../../support/federation-rig.ts";

/** Proportion of the real rule: 95 s of silence at a period of 30 s. */
const HEARTBEAT_MS = 150;

/** A TCP path between agent and hub that can swallow everything without closing anything, as a firewall does. */
async function path(port: number): Promise<{ port: number; swallow(on: boolean): void; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  let swallowing = false;
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes) => {
        if (!swallowing) to.write(bytes);
      });
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        if (!swallowing) to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    swallow: (on) => {
      swallowing = on;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("a path and peers that go quiet", () => {
  let rig: FederationRig | undefined;
  const cleanup: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of cleanup.splice(0).toReversed()) await close();
    await rig?.close();
    rig = undefined;
  });

  async function start(): Promise<{ rig: FederationRig; hub: Hub }> {
    rig = await FederationRig.create(["tenant-1", "tenant-2"]);
    const { hub } = await rig.hub({ limits: { heartbeatIntervalMs: HEARTBEAT_MS } });
    return { rig, hub };
  }

  it("finds a swallowed path on both sides, comes back by itself, and the neighbour's stream is untouched", async () => {
    const { rig: own, hub } = await start();
    const { spoke: neighbour } = await own.spoke("tenant-2");
    const way = await path(own.port);
    cleanup.push(() => way.close());
    const { spoke } = await own.spoke("tenant-1", { endpoints: [`127.0.0.1:${way.port}`] });
    await until(() => spoke.status().connected && neighbour.status().connected, "both are in");
    const untouched = hub.view.agent("tenant-2")?.sessionId;
    const before = hub.view.agent("tenant-1")?.sessionId;
    way.swallow(true);
    await until(() => !spoke.status().connected, "the agent gives it up");
    await until(() => hub.view.agent("tenant-1")?.connected === false, "the hub gives it up");
    expect(hub.view.agent("tenant-1")?.degradedReason).toBe("HeartbeatMissed");
    const version = own.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("while it was away"));
    way.swallow(false);
    await until(
      () => Number(own.facts.item("tenant-1", "PackInstalled/web")?.version ?? 0n) === version,
      "what changed meanwhile arrives",
      20_000,
    );
    expect(hub.view.agent("tenant-1")?.sessionId).not.toBe(before);
    expect(hub.view.agent("tenant-2")?.sessionId).toBe(untouched);
  });

  it("gives up an agent that is stopped for longer than the limit, and takes it back when it runs again", async () => {
    const { rig: own, hub } = await start();
    const { spoke: neighbour } = await own.spoke("tenant-2");
    const options: AgentChildOptions = {
      port: own.port,
      cluster: "tenant-1",
      tls: await own.tenantTls("tenant-1"),
      publicKeyPem: own.publicKeyPem,
      storeDirectory: join(own.directory, "child"),
      effectsFile: join(own.directory, "effects"),
    };
    const child = fork(join(import.meta.dirname, "../federation/agent-child.ts"));
    cleanup.push(async () => {
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("exit", resolve));
    });
    child.send(options);
    await until(() => hub.view.agent("tenant-1")?.connected === true, "the child is in");
    child.kill("SIGSTOP");
    await until(() => hub.view.agent("tenant-1")?.connected === false, "the hub gives it up");
    expect(hub.view.agent("tenant-1")?.degradedReason).toBe("HeartbeatMissed");
    const version = own.desired.put("tenant-1", "PackInstalled", "web", Buffer.from("while it was stopped"));
    expect(neighbour.status().connected).toBe(true);
    child.kill("SIGCONT");
    await until(
      () => Number(own.facts.item("tenant-1", "PackInstalled/web")?.version ?? 0n) === version,
      "what changed meanwhile arrives",
      20_000,
    );
  });

  it("lets the newer of two agents with one certificate win, makes the older wait, and shows when they take turns", async () => {
    const { rig: own, hub } = await start();
    const first = await own.spoke("tenant-1");
    await until(() => first.spoke.status().connected, "the first is in");
    const second = await own.spoke("tenant-1", { store: { directory: join(own.directory, "copy") } });
    await until(() => second.spoke.status().connected, "the second took over");
    await until(() => !first.spoke.status().connected, "the first was told");
    // Longer than any backoff of a first try, so that a first one that did not wait would be seen.
    await systemClock.sleep(1_500);
    expect(second.spoke.status().connected).toBe(true);
    expect(own.metrics.counts.get("federation_streams_ended_total Superseded")).toBe(1);
    expect(hub.view.agent("tenant-1")?.rivalMs).toBeUndefined();
    // An older process comes back: no restart does that.
    const tls = await own.tenantTls("tenant-2");
    for (const instanceId of ["a", "b", "a"]) cleanup.push(await hello(own, tls, "tenant-2", instanceId));
    await until(() => hub.view.agent("tenant-2")?.rivalMs !== undefined, "two agents are noticed");
    expect(own.metrics.counts.get("federation_rival_agents_total tenant-2")).toBe(1);
    expect(own.recorded.lines.some((line) => line.includes("two agents with one certificate take turns"))).toBe(true);
  });
});

/** An agent of a few lines: says Hello and waits for Welcome. Resolves with the way to end it. */
async function hello(
  rig: FederationRig,
  tls: TlsMaterial,
  clusterId: string,
  instanceId: string,
): Promise<() => Promise<void>> {
  let frames = 0;
  const pipe = await dialStream({
    endpoint: `127.0.0.1:${rig.port}`,
    tls,
    generation: 1,
    signal: new AbortController().signal,
    listener: { received: () => frames++, drained: () => {}, closed: () => {} },
  });
  const value = create(HelloSchema, { clusterId, instanceId, protocolVersions: [1] });
  pipe.send(toBinary(EnvelopeSchema, create(EnvelopeSchema, { seq: 1n, payload: { case: "hello", value } })));
  await until(() => frames > 0, "Welcome");
  return async () => pipe.destroy("done", 0);
}
