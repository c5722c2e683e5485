/** Who makes a request, as `authentication.k8s.io/v1 UserInfo`. */
export interface RequestUser {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  /** What the authenticator knows besides, values by key. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}
