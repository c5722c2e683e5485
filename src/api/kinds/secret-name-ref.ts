// Generated from crds/ by `npm run generate`. Do not edit.

/** dockerconfigjson Secret in the tenant namespace. */
export interface SecretNameRef {
  /** Secret name. */
  readonly name: string;
}
