import { request as httpsRequest } from "node:https";
import { isJsonObject, type JsonObject } from "../../../../base/json.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { type WebhookEndpoint, webhookEndpoint } from "./webhook-endpoint.ts";
import type { ValidatingWebhook } from "./webhook-shapes.ts";

/** Longest answer of a webhook. */
const MAX_ANSWER_BYTES = 3 * 1024 * 1024;

/** `admission.k8s.io/v1 AdmissionResponse`. */
export interface AdmissionResponse {
  readonly allowed: boolean;
  readonly status: JsonObject | undefined;
  readonly warnings: readonly string[];
}

/**
 * Asks one webhook over HTTPS. `signal` ends the call when its time is over.
 *
 * @throws Error when there is no usable answer, in words that follow "failed to call webhook: "
 */
export async function callWebhook(
  store: ObjectStore,
  clientConfig: ValidatingWebhook["clientConfig"],
  timeoutSeconds: number,
  uid: string,
  review: string,
  signal: AbortSignal,
): Promise<AdmissionResponse> {
  const endpoint = webhookEndpoint(store, clientConfig);
  const url = new URL(endpoint.url);
  if (url.protocol !== "https:") throw new Error(`the URL ${endpoint.url} does not begin with https://`);
  url.searchParams.set("timeout", `${timeoutSeconds}s`);
  let text: string;
  try {
    text = await post(url, endpoint, review, signal);
  } catch (error) {
    const why = signal.aborted ? "context deadline exceeded" : error instanceof Error ? error.message : String(error);
    throw new Error(`Post ${JSON.stringify(`${endpoint.url}${url.search}`)}: ${why}`, { cause: error });
  }
  return responseOf(text, uid);
}

function post(url: URL, endpoint: WebhookEndpoint, body: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const connectTo = endpoint.connectTo?.();
    const request = httpsRequest(
      {
        method: "POST",
        host: connectTo?.host ?? url.hostname.replaceAll(/^\[|\]$/g, ""),
        port: connectTo?.port ?? (url.port || 443),
        path: `${url.pathname}${url.search}`,
        headers: {
          host: url.host,
          "content-type": "application/json",
          accept: "application/json",
          "user-agent": "seam-admission",
          "content-length": Buffer.byteLength(body),
        },
        ...(endpoint.caPem === undefined ? {} : { ca: endpoint.caPem }),
        ...(endpoint.serverName === undefined ? {} : { servername: endpoint.serverName }),
        // A webhook that rotates its certificate is asked anew; there is nothing to gain from a kept connection.
        agent: false,
        signal,
      },
      (response) => {
        const chunks: Uint8Array[] = [];
        let bytes = 0;
        response.on("data", (chunk: Uint8Array) => {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER_BYTES)
            response.destroy(new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`));
          else chunks.push(chunk);
        });
        response.once("error", reject);
        response.once("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`the server answered with HTTP status ${response.statusCode}`));
        });
      },
    );
    request.once("error", reject);
    request.end(body);
  });
}

function responseOf(text: string, uid: string): AdmissionResponse {
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch {
    throw new Error("the answer is not JSON");
  }
  if (!isJsonObject(review) || review["apiVersion"] !== "admission.k8s.io/v1" || review["kind"] !== "AdmissionReview") {
    throw new Error("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview");
  }
  const { response } = review;
  if (!isJsonObject(response)) throw new Error("webhook response was absent");
  if (response["uid"] !== uid) {
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response["uid"] ?? "")}`);
  }
  const warnings = Array.isArray(response["warnings"]) ? (response["warnings"] as readonly unknown[]) : [];
  return {
    allowed: response["allowed"] === true,
    status: isJsonObject(response["status"]) ? response["status"] : undefined,
    warnings: warnings.filter((warning): warning is string => typeof warning === "string"),
  };
}
