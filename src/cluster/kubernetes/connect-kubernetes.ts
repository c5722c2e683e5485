import type { Clock } from "../../base/clock.ts";
import { errorMessage, SeamError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Credentials, Endpoint } from "./credentials.ts";
import { clusterOver, type ConnectedCluster } from "./http-cluster.ts";

/** Files and exec plugins are asked at most this often; both keep their own answer much longer. */
const CREDENTIALS_FRESH_MS = 10_000;

/** What {@link connectKubernetes} needs. */
export interface ConnectOptions {
  /** A kubeconfig file; absent: the KUBECONFIG convention, `~/.kube/config`, then the pod's service account. */
  readonly kubeconfigPath?: string;
  /** A context of the kubeconfig; absent: its current one. */
  readonly context?: string;
  /** First part of the User-Agent: the default field manager. */
  readonly userAgent?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Closes the connection when it aborts. */
  readonly signal?: AbortSignal;
}

/**
 * Connects to a real API server the way kubectl would: kubeconfig, in-cluster service account, exec plugins. Nothing is sent to the
 * server before the first call.
 *
 * @throws SeamError `KubeconfigInvalid` for an unreadable file, an unknown context or a cluster without a server
 */
export async function connectKubernetes(options: ConnectOptions): Promise<ConnectedCluster> {
  // Loaded here, not at the top: it costs 420 ms and 90 MB (docs/libraries.md), and most programs never need it.
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  const object = options.kubeconfigPath ?? "the default kubeconfig";
  try {
    if (options.kubeconfigPath === undefined) config.loadFromDefault();
    else config.loadFromFile(options.kubeconfigPath);
  } catch (cause) {
    throw new SeamError(
      { reason: "KubeconfigInvalid", object, expected: `a readable kubeconfig (${errorMessage(cause)})` },
      { cause },
    );
  }
  if (options.context !== undefined) {
    if (config.getContextObject(options.context) === null)
      throw new SeamError({
        reason: "KubeconfigInvalid",
        object,
        field: "contexts",
        expected: `a context named ${JSON.stringify(options.context)}`,
        remedy: `choose one of ${
          config
            .getContexts()
            .map((context) => context.name)
            .join(", ") || "none"
        }`,
      });
    config.setCurrentContext(options.context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster?.server)
    throw new SeamError({
      reason: "KubeconfigInvalid",
      object,
      field: "current-context",
      expected: "a context whose cluster has a server",
      remedy: "set current-context or name a context",
    });
  if (cluster.proxyUrl?.startsWith("socks"))
    throw new SeamError({
      reason: "KubeconfigInvalid",
      object,
      field: `clusters[${cluster.name}].proxy-url`,
      expected: "an http or https proxy",
      remedy: "SOCKS proxies are not supported; use an HTTP proxy",
    });

  const { clock } = options;
  let kept: { readonly credentials: Promise<Credentials>; readonly at: number } | undefined;
  const endpoint: Endpoint = {
    server: cluster.server,
    ...(cluster.tlsServerName === undefined ? {} : { serverName: cluster.tlsServerName }),
    ...(cluster.proxyUrl === undefined ? {} : { proxyUrl: cluster.proxyUrl }),
    verifyServer: cluster.skipTLSVerify !== true,
    credentials: () => {
      if (kept === undefined || clock.monotonic() - kept.at >= CREDENTIALS_FRESH_MS) {
        const credentials = presentedBy(config);
        kept = { credentials, at: clock.monotonic() };
        credentials.catch(() => {
          // the caller sees the error; the next call asks again
          if (kept?.credentials === credentials) kept = undefined;
        });
      }
      return kept.credentials;
    },
    forget: () => {
      kept = undefined;
    },
  };
  const connected = clusterOver({
    endpoint,
    userAgent: options.userAgent ?? "seam",
    clock,
    random: options.random,
    log: options.log,
  });
  const stop = (): void => {
    connected.close().catch((error: unknown) => {
      options.log.warn({ error: errorMessage(error) }, "the connection to the API server did not close cleanly");
    });
  };
  if (options.signal?.aborted) stop();
  else options.signal?.addEventListener("abort", stop, { once: true });
  return connected;
}

/** Asks the kubeconfig's authenticators what to present. */
async function presentedBy(config: {
  applyToHTTPSOptions(options: HttpsOptions): Promise<void>;
}): Promise<Credentials> {
  const options: HttpsOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (typeof value === "string") headers[name.toLowerCase()] = value;
  }
  if (options.auth) headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  return { caPem: pem(options.ca), clientCertPem: pem(options.cert), clientKeyPem: pem(options.key), headers };
}

/** The part of `https.RequestOptions` that the kubeconfig fills in. */
interface HttpsOptions {
  headers?: Record<string, unknown>;
  auth?: string;
  ca?: unknown;
  cert?: unknown;
  key?: unknown;
}

function pem(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return Buffer.isBuffer(value) ? value.toString("utf8") : undefined;
}
