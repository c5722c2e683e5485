// Generated from crds/ by `npm run generate`. Do not edit.

/** Origin of the seal. */
export interface PackDeliveryOrigin {
  /** Namespace of the PackDelivery. */
  readonly namespace: string;
  /** Name of the PackDelivery. */
  readonly name: string;
  /** UID of the PackDelivery. */
  readonly uid?: string;
}
