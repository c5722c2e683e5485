import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { describe, expect, it } from "vitest";
import { HandshakeCrowd } from "./handshake-crowd.ts";

const spoke = () => ({ bytesRead: 9 });
const silent = () => ({ bytesRead: 0 });

describe("HandshakeCrowd", () => {
  it("lets everybody in up to the cap, and again when one has left", () => {
    const crowd = new HandshakeCrowd(2);
    const [a, b, c, d] = [spoke(), spoke(), spoke(), spoke()];
    expect([a, b].map((each) => crowd.enter(each, 0))).toEqual([undefined, undefined]);
    expect(crowd.enter(c, 1)).toBe(c);
    crowd.leave(a);
    expect(crowd.enter(d, 2)).toBeUndefined();
  });

  it("ends the oldest that has said nothing", () => {
    const crowd = new HandshakeCrowd(3);
    const [a, b, c, d, e] = [spoke(), silent(), silent(), spoke(), spoke()];
    for (const each of [a, b, c]) crowd.enter(each, 0);
    expect(crowd.enter(d, 1)).toBe(b);
    expect(crowd.enter(e, 1)).toBe(c);
  });

  it("ends one that had five seconds, and no younger one: what has begun is finished by a listener that manages a fifth of the cap a second", () => {
    const crowd = new HandshakeCrowd(2);
    const [a, b, late, later] = [spoke(), spoke(), spoke(), spoke()];
    crowd.enter(a, 0);
    crowd.enter(b, 1_000);
    expect(crowd.enter(late, 4_999)).toBe(late);
    expect(crowd.enter(late, 5_000)).toBe(a);
    expect(crowd.enter(later, 5_001)).toBe(later);
  });

  it("looks at a few of the oldest only", () => {
    const crowd = new HandshakeCrowd(41);
    for (let i = 0; i < 40; i++) crowd.enter(spoke(), 0);
    crowd.enter(silent(), 0);
    const late = spoke();
    expect(crowd.enter(late, 1)).toBe(late);
  });

  it("knows of a real socket under TLS whether its peer has spoken", async () => {
    const accepted: Socket[] = [];
    const tls = createTlsServer();
    const server = createServer((socket) => {
      accepted.push(socket);
      tls.emit("connection", socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const peers = [0, 1].map(() => connect(port, "127.0.0.1").on("error", () => {}));
    const deadline = performance.now() + 15_000;
    const until = async (seen: () => boolean): Promise<void> => {
      while (!seen() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await until(() => accepted.length === 2);
    expect(accepted.map(({ bytesRead }) => bytesRead)).toEqual([0, 0]);
    // The head of a ClientHello and a part of it: TLS waits for the rest.
    peers[0]?.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252]));
    await until(() => accepted.some(({ bytesRead }) => bytesRead > 0));
    expect(accepted.map(({ bytesRead }) => bytesRead).sort((a, b) => a - b)).toEqual([0, 9]);
    for (const socket of [...peers, ...accepted]) socket.destroy();
    tls.close();
    await new Promise((resolve) => server.close(resolve));
  });
});
