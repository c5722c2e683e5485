/** An authenticated user, as `authentication.k8s.io/v1 UserInfo`. */
export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  /** What the authenticator knows besides, values by key. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}
