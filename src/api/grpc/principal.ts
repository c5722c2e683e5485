/** Who is at the other end of a connection or call, as far as a listener established it. */
export interface Principal {
  /** `certificate` when TLS verified it, `token` when a bearer token was checked. */
  readonly kind: "certificate" | "token";
  /** Cluster id of a tenant, user name of an operator, `system:serviceaccount:…` of a service account. */
  readonly name: string;
  /** Groups of an operator; empty for a tenant. */
  readonly groups: readonly string[];
  /** Normalised serial of the client certificate; empty for a token. */
  readonly certificateSerial: string;
  /** End of the credential, Unix milliseconds; Infinity when unknown. */
  readonly notAfterMs: number;
}
