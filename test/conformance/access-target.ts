import { readFile } from "node:fs/promises";
import { Agent, request } from "undici";
import { parse } from "yaml";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { startRealApiServer } from "../support/real-api-server.ts";
import { serveTestApi } from "../support/served-api.ts";

/** An answer of {@link AccessTarget.send}. */
export interface AccessAnswer {
  readonly status: number;
  /** The body as JSON, and its text when it is none. */
  readonly body: unknown;
}

/** A server whose authorization is tried: one administrator, who becomes others by impersonation. */
export interface AccessTarget {
  /** As the administrator. */
  readonly cluster: Cluster;
  /** Whether ClusterRoles are aggregated and namespaces get a ServiceAccount (a bare kube-apiserver does neither). */
  readonly controllers: boolean;
  /** One request of the administrator, with these headers. */
  send(method: string, path: string, headers?: Headers, body?: object): Promise<AccessAnswer>;
  /** One request without certificate. */
  sendAnonymously(method: string, path: string, headers?: Headers, body?: object): Promise<AccessAnswer>;
  close(): Promise<void>;
}

/** Header values by name; several for a repeated header. */
export type Headers = Readonly<Record<string, string | string[]>>;

/** The embedded cluster behind its REST API. */
export async function embeddedAccess(): Promise<AccessTarget> {
  const test = await serveTestApi();
  const pair = { cert: test.admin.certificatePem, key: test.admin.privateKeyPem };
  return accessOver(test.connect(), test.api.url, test.ca.certificatePem, pair, true, () => test.close());
}

/** A real kube-apiserver. */
export async function realAccess(assets: string): Promise<AccessTarget> {
  const real = await startRealApiServer(assets);
  const config = parse(await readFile(real.kubeconfig, "utf8")) as {
    clusters: { cluster: { "certificate-authority-data": string } }[];
    users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
  };
  const pem = (text: string | undefined): string => Buffer.from(text ?? "", "base64").toString("utf8");
  const pair = {
    cert: pem(config.users[0]?.user["client-certificate-data"]),
    key: pem(config.users[0]?.user["client-key-data"]),
  };
  const ca = pem(config.clusters[0]?.cluster["certificate-authority-data"]);
  return accessOver(real.cluster, real.url, ca, pair, false, () => real.close());
}

function accessOver(
  cluster: Cluster,
  url: string,
  ca: string,
  pair: { readonly cert: string; readonly key: string },
  controllers: boolean,
  close: () => Promise<void>,
): AccessTarget {
  // HTTP/1.1: as HTTP/2 client undici joins the values of a repeated header.
  const administrator = new Agent({ allowH2: false, connect: { ca, ...pair } });
  const nobody = new Agent({ allowH2: false, connect: { ca } });
  const sendBy =
    (dispatcher: Agent) =>
    async (method: string, path: string, headers: Headers = {}, body?: object): Promise<AccessAnswer> => {
      const answer = await request(`${url}${path}`, {
        dispatcher,
        method: method as "GET",
        headers: { "content-type": "application/json", ...headers },
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await answer.body.text();
      try {
        return { status: answer.statusCode, body: JSON.parse(text) };
      } catch {
        return { status: answer.statusCode, body: text }; // plain text is an answer too
      }
    };
  return {
    cluster,
    controllers,
    send: sendBy(administrator),
    sendAnonymously: sendBy(nobody),
    close: async () => {
      await Promise.all([administrator.destroy(), nobody.destroy()]);
      await close();
    },
  };
}
