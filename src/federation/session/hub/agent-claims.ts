/** Position an agent says it holds. */
export interface HeldIndex {
  readonly epoch: number;
  readonly sequence: number;
  readonly digest: string;
}

/** An index the agent refused; not offered again until it changes, the agent's build changes or, when retryable, `retryAtMs`. */
export interface RefusedIndex {
  readonly digest: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly reason: string;
  /** For people. */
  readonly detail: string;
  readonly agentVersion: string;
  readonly attempts: number;
  /** Infinity when final. */
  readonly retryAtMs: number;
}

/** An item digest the agent refused for good. */
export interface QuarantinedItem {
  readonly digest: string;
  readonly version: number;
  readonly reason: string;
}
