import { once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { CertificateAuthority } from "../../trust/ca/certificate-authority.ts";
import { isPrivateAddress } from "./private-address.ts";
import { probeIssuer } from "./probe-issuer.ts";

let answer: RequestListener = (_request, response) => response.end("{}");
let ca: CertificateAuthority;
let server: ReturnType<typeof createServer>;
let base: string;
const { signal } = new AbortController();

beforeAll(async () => {
  ca = await CertificateAuthority.create("issuer CA", { clock: systemClock, random: systemRandom });
  const issued = await ca.issue({
    kind: "server",
    commonName: "sso",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  server = createServer({ cert: issued.certificatePem, key: issued.privateKeyPem }, (request, response) =>
    answer(request, response),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

const probe = (issuer = base) => probeIssuer(issuer, { signal, ca: ca.certificatePem });

describe("probeIssuer", () => {
  it("asks for the discovery document, also below a path", async () => {
    const asked: (string | undefined)[] = [];
    answer = (request, response) => {
      asked.push(request.url);
      response.end("{}");
    };
    expect(await probe(`${base}/realms/fleet/`)).toEqual({
      reachable: true,
      message: `${base}/realms/fleet/.well-known/openid-configuration answers`,
    });
    expect(asked).toEqual(["/realms/fleet/.well-known/openid-configuration"]);
  });

  it("says what it found instead of 200", async () => {
    answer = (_request, response) => response.writeHead(503).end();
    expect(await probe()).toEqual({
      reachable: false,
      message: `${base}/.well-known/openid-configuration: expected 200, found 503`,
    });
  });

  it.each(["https://127.0.0.1:1/x", "https://10.0.0.1/x", "https://[::1]/x", "https://localhost/x"])(
    "follows no redirect into private address space: %s",
    async (location) => {
      answer = (_request, response) => response.writeHead(302, { location }).end();
      const { reachable, message } = await probe();
      expect(reachable).toBe(false);
      expect(message).toContain("which is in private address space");
    },
  );

  it("asks nothing but https, with a certificate it trusts", async () => {
    answer = (_request, response) => response.writeHead(302, { location: "http://example.net/" }).end();
    expect((await probe()).message).toContain("only https is asked");
    expect((await probeIssuer(base, { signal })).reachable).toBe(false);
    expect((await probe("https://127.0.0.1:1")).reachable).toBe(false);
  });

  it("ends with its signal", async () => {
    const stop = new AbortController();
    answer = () => stop.abort(new Error("stopped"));
    await expect(probeIssuer(base, { signal: stop.signal, ca: ca.certificatePem })).rejects.toThrow("stopped");
  });
});

describe("isPrivateAddress", () => {
  it.each([
    "127.0.0.1",
    "10.1.2.3",
    "172.31.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "fd00::1",
    "fe80::1",
    "::ffff:10.0.0.1",
  ])("%s is", (address) => {
    expect(isPrivateAddress(address)).toBe(true);
  });

  it.each(["8.8.8.8", "172.32.0.1", "2001:4860:4860::8888", "example.net"])("%s is not", (address) => {
    expect(isPrivateAddress(address)).toBe(false);
  });
});
