import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../src/base/clock.ts";
import { isJsonObject, type JsonObject } from "../../src/base/json.ts";
import { systemRandom } from "../../src/base/random.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";

/** An admission webhook of a test. */
export interface WebhookServer {
  /** `https://127.0.0.1:port/path`; the last part of the path names the behaviour. */
  url(behaviour: string): string;
  /** Base64 of the CA's certificate. */
  readonly caBundle: string;
  /** Requests so far: what came in `request` of each AdmissionReview, by behaviour. */
  seen(behaviour: string): readonly JsonObject[];
  close(): Promise<void>;
}

/** What is answered; undefined never answers. */
const ANSWERS: Readonly<Record<string, JsonObject | undefined>> = {
  allow: { allowed: true },
  warn: { allowed: true, warnings: ["think again"] },
  deny: { allowed: false, status: { message: "not today", reason: "Forbidden", code: 403 } },
  silent: { allowed: false },
  teapot: { allowed: false, status: { code: 418, reason: "Teapot" } },
  "other-uid": { allowed: true, uid: "other" },
  hang: undefined,
};

/** Starts a webhook on a free port of the loopback address. */
export async function startWebhookServer(): Promise<WebhookServer> {
  const ca = await CertificateAuthority.create("webhook CA", { clock: systemClock, random: systemRandom });
  const pair = await ca.issue({ kind: "server", commonName: "webhook", dnsNames: [], ipAddresses: ["127.0.0.1"] });
  const seen = new Map<string, JsonObject[]>();
  const server = createServer({ cert: pair.certificatePem, key: pair.privateKeyPem }, (request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.once("end", () => {
      const behaviour = new URL(request.url ?? "", "https://webhook").pathname.slice(1).split("/")[0] ?? "";
      const review: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
      const asked = isJsonObject(review) && isJsonObject(review["request"]) ? review["request"] : {};
      const path = request.url?.replace(/[?].*/, "").slice(1) ?? "";
      seen.set(path, [...(seen.get(path) ?? []), asked]);
      if (behaviour === "broken") {
        response.writeHead(500).end("broken");
        return;
      }
      const answer = ANSWERS[behaviour];
      if (answer === undefined) return;
      const body = {
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        response: { uid: asked["uid"] ?? "", ...answer },
      };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (behaviour) => `https://127.0.0.1:${port}/${behaviour}`,
    caBundle: Buffer.from(ca.certificatePem).toString("base64"),
    seen: (behaviour) => seen.get(behaviour) ?? [],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
