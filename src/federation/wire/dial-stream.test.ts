import { spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { type AddressInfo, type Server, Socket, connect, createServer } from "node:net";
import { Server as TlsServer, createServer as createTlsServer } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { CertificateAuthority } from "../../trust/ca/certificate-authority.ts";
import type { TlsMaterial } from "../../trust/tls/tls-material.ts";
import { dialStream } from "./dial-stream.ts";
import type { WirePipe } from "./pipe.ts";

const DEADLINES = { tcpMs: 200, tlsMs: 200, settingsMs: 200 };
let client: TlsMaterial;
let server: TlsMaterial;
const servers: Server[] = [];
const sockets = new Set<Socket>();

beforeAll(async () => {
  const ca = await CertificateAuthority.create("federation", { clock: systemClock });
  const issued = await ca.issue({ kind: "server", commonName: "hub", dnsNames: ["hub.example"], ipAddresses: [] });
  server = { ...issued, caPem: ca.certificatePem };
  client = { ...(await ca.issue({ kind: "tenant", cluster: "tenant-1" })), caPem: ca.certificatePem };
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((each) => new Promise((resolve) => each.close(resolve))));
});

async function listen(make: () => Server): Promise<number> {
  const each = make();
  servers.push(each);
  // A socket that nobody reads would not see the other end go.
  each.on("secureConnection", (socket: Socket) => socket.resume());
  each.on("connection", (socket) => {
    if (!(each instanceof TlsServer)) socket.resume();
    sockets.add(socket);
    socket.on("error", () => {
      // the client hangs up: that is what is tested
    });
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve));
  return (each.address() as AddressInfo).port;
}

function dial(
  port: number,
  options: { readonly serverName?: string; readonly signal?: AbortSignal } = {},
): Promise<WirePipe> {
  return dialStream({
    endpoint: `127.0.0.1:${port}`,
    tls: client,
    generation: 1,
    deadlines: DEADLINES,
    signal: new AbortController().signal,
    serverName: "hub.example",
    listener: { received: () => {}, drained: () => {}, closed: () => {} },
    ...options,
  });
}

async function hangsUp(): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (sockets.size > 0) {
    if (performance.now() > deadline) throw new Error("the socket was not destroyed");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("dialStream", () => {
  it("names the phase when the peer accepts TCP and never speaks, and destroys the socket", async () => {
    const port = await listen(() => createServer());
    await expect(dial(port)).rejects.toThrow(/TLS handshake.*not finished within 200 ms/);
    await expect(dial(port)).rejects.toMatchObject({ answered: false });
    await hangsUp();
  });

  it("names the phase when TLS is done and no SETTINGS come, and destroys the socket", async () => {
    const port = await listen(() =>
      createTlsServer({ cert: server.certificatePem, key: server.privateKeyPem, ALPNProtocols: ["h2"] }),
    );
    await expect(dial(port)).rejects.toThrow(/HTTP\/2 settings: not finished within 200 ms/);
    await expect(dial(port)).rejects.toMatchObject({ answered: true });
    await hangsUp();
  });

  it("says that nobody listens", async () => {
    const port = await listen(() => createServer());
    await new Promise((resolve) => servers.splice(0)[0]?.close(resolve));
    await expect(dial(port)).rejects.toThrow(/^127\.0\.0\.1:\d+: TCP connect: connect ECONNREFUSED 127\.0\.0\.1:\d+$/);
    await expect(dial(port)).rejects.toMatchObject({ answered: false });
  });

  it.each([
    ["reset", (socket: Socket) => socket.resetAndDestroy()],
    ["closed", (socket: Socket) => socket.destroy()],
  ])("takes a connection that is %s before TLS for an answer: a hub that sheds does that", async (_, shed) => {
    const port = await listen(() => createServer(shed));
    await expect(dial(port)).rejects.toMatchObject({ answered: true });
    await hangsUp();
  });

  it("leaves no socket behind that goes on asking when nobody answers TCP", async () => {
    // A stopped process whose backlog is full: the kernel drops what else comes.
    const program =
      "const s=require('net').createServer();s.listen({port:0,host:'127.0.0.1',backlog:1},()=>process.send(s.address().port))";
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "ignore", "ignore", "ipc"] });
    const port = await new Promise<number>((resolve) => child.once("message", (bound) => resolve(Number(bound))));
    child.kill("SIGSTOP");
    const fillers = Array.from({ length: 8 }, () => connect(port, "127.0.0.1").on("error", () => {}));
    // A backlog of one is full with two.
    const full = Promise.withResolvers<void>();
    let connected = 0;
    for (const filler of fillers)
      filler.once("connect", () => {
        if (++connected === 2) full.resolve();
      });
    const made: Socket[] = [];
    const note = (message: unknown): void => {
      const socket: unknown = Reflect.get(Object(message), "socket");
      if (socket instanceof Socket) made.push(socket);
    };
    await full.promise;
    subscribe("net.client.socket", note);
    try {
      await expect(dial(port)).rejects.toThrow(/TCP connect: not finished within 200 ms/);
      expect(made.map(({ destroyed }) => destroyed)).toEqual([true]);
    } finally {
      unsubscribe("net.client.socket", note);
      for (const filler of fillers) filler.destroy();
      child.kill("SIGKILL");
    }
  });

  it("refuses a server whose certificate is for another host", async () => {
    const port = await listen(() =>
      createTlsServer({ cert: server.certificatePem, key: server.privateKeyPem, ALPNProtocols: ["h2"] }),
    );
    await expect(dial(port, { serverName: "other.example" })).rejects.toThrow(/altnames|other\.example/);
    await hangsUp();
  });

  it("refuses a server that does not speak HTTP/2", async () => {
    const port = await listen(() => createTlsServer({ cert: server.certificatePem, key: server.privateKeyPem }));
    await expect(dial(port)).rejects.toThrow(/does not speak HTTP\/2/);
    await hangsUp();
  });

  it("gives up at once when the agent stops", async () => {
    const port = await listen(() => createServer());
    const controller = new AbortController();
    const dialling = dial(port, { signal: controller.signal });
    controller.abort();
    await expect(dialling).rejects.toThrow(/the agent stops/);
    await hangsUp();
  });
});
