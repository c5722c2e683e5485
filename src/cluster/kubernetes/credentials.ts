/** How to reach and convince one API server. */
export interface Endpoint {
  /** Base address, `https://host:port`, with a path prefix when the server stands behind one. */
  readonly server: string;
  /** Name to check the certificate against when it is not the host of `server`. */
  readonly serverName?: string;
  /** HTTP proxy to go through. */
  readonly proxyUrl?: string;
  /** False accepts any certificate (`insecure-skip-tls-verify`). */
  readonly verifyServer: boolean;
  /** What to present now. Called before each request; a source that is slow to ask keeps its own answer for a while. */
  credentials(): Promise<Credentials>;
  /** The server answered 401: what was kept must be asked for again. */
  forget(): void;
}

/** What one request presents. */
export interface Credentials {
  /** PEM; absent trusts the machine's roots. */
  readonly caPem?: string | undefined;
  readonly clientCertPem?: string | undefined;
  readonly clientKeyPem?: string | undefined;
  /** `Authorization`, `Impersonate-User` and the like. */
  readonly headers: Readonly<Record<string, string>>;
}
