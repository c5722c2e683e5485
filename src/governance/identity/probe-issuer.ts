import { type LookupAddress, lookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { Agent, request } from "undici";
import { errorMessage } from "../../base/errors.ts";
import { isPrivateAddress } from "./private-address.ts";

/** How long one answer may take, milliseconds. */
const TIMEOUT_MS = 5_000;
/** Most redirects followed. */
const MAX_REDIRECTS = 3;
/** Largest header section of an answer, bytes. The body is never read. */
const MAX_HEADER_BYTES = 16 * 1024;

/** Options of {@link probeIssuer}. */
export interface ProbeOptions {
  readonly signal: AbortSignal;
  /** Authorities besides the machine's, PEM. */
  readonly ca?: string;
}

/** What was found; the message is for people. */
export interface Probe {
  readonly reachable: boolean;
  readonly message: string;
}

/** Resolves names as the system does, and refuses addresses that a redirect has no business to lead to. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: readonly LookupAddress[]) => {
    const hidden = addresses?.find(({ address }) => isPrivateAddress(address));
    const [first] = addresses ?? [];
    if (error !== null) callback(error, "", 0);
    else if (hidden !== undefined || first === undefined)
      callback(new Error(`redirect to ${hostname}, which is in private address space`), "", 0);
    else if (options.all === true) callback(null, [...addresses]);
    else callback(null, first.address, first.family);
  });
};

/**
 * Asks an OpenID Connect issuer for its discovery document (permissions §2.6): https only, no redirect into private address space, a
 * short time for each answer. The issuer itself may be private: a person has named it. Never throws but for the signal.
 */
export async function probeIssuer(issuerURL: string, options: ProbeOptions): Promise<Probe> {
  let url = new URL(`${issuerURL.replace(/\/+$/, "")}/.well-known/openid-configuration`);
  try {
    for (let redirects = 0; ; redirects++) {
      const { status, location } = await ask(url, redirects > 0, options);
      if (location === undefined)
        return status === 200
          ? { reachable: true, message: `${url.href} answers` }
          : { reachable: false, message: `${url.href}: expected 200, found ${status}` };
      if (redirects === MAX_REDIRECTS)
        return { reachable: false, message: `${issuerURL}: more than ${MAX_REDIRECTS} redirects` };
      url = new URL(location, url);
    }
  } catch (error) {
    options.signal.throwIfAborted();
    return { reachable: false, message: `${url.href}: ${errorMessage(error)}` };
  }
}

async function ask(
  url: URL,
  redirected: boolean,
  { signal, ca }: ProbeOptions,
): Promise<{ readonly status: number; readonly location: string | undefined }> {
  if (url.protocol !== "https:") throw new Error("only https is asked");
  const host = url.hostname.replaceAll(/[[\]]/g, "");
  // An address is never looked up, so it is refused here.
  if (redirected && isPrivateAddress(host)) throw new Error(`redirect to ${host}, which is in private address space`);
  const dispatcher = new Agent({
    connect: { timeout: TIMEOUT_MS, ...(ca !== undefined && { ca }), ...(redirected && { lookup: publicLookup }) },
    headersTimeout: TIMEOUT_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(2 * TIMEOUT_MS)]);
    const { statusCode, headers, body } = await request(url, { dispatcher, signal: limit });
    body.on("error", () => {}); // given up unread
    body.destroy();
    const { location } = headers;
    const redirect = statusCode >= 300 && statusCode < 400 && typeof location === "string" ? location : undefined;
    return { status: statusCode, location: redirect };
  } finally {
    await dispatcher.destroy();
  }
}
