/** An operator's word that one content of one item is to be tried again on one agent. */
export interface RetryOrder {
  /** Unique: the agent carries out an order once, however often it hears of it. */
  readonly id: string;
  /** Item kind as in the index. */
  readonly kind: string;
  /** Item name as in the index. */
  readonly name: string;
  /** The content it is about, as in the index: of any other it says nothing. Empty for a tombstone. */
  readonly digest: string;
  /** When it was given, Unix milliseconds by a hub's clock. */
  readonly orderedAtMs: number;
}

/**
 * How long an order waits for a refusal that is not known yet, milliseconds: an operator who mended something may be quicker than the
 * agent's word that it was broken. A refusal that comes later is another story, and needs another look.
 */
export const EARLY_RETRY_MS = 600_000;
