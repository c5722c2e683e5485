/** Counts of one session's life in this process, for metrics; the shell reads them when it is asked. */
export interface HubCounters {
  streams: number;
  superseded: number;
  protocolErrors: number;
  offersFull: number;
  offersDiff: number;
  offersUnchanged: number;
  offersReference: number;
  offersRanges: number;
  /** Comparisons by range digest. */
  compares: number;
  /** Offers repeated because no report came in time: a steady count is a bug (lessons §3.8). */
  offerSweeps: number;
  indexRefused: number;
  nacks: number;
  factsRefused: number;
  storeFailures: number;
  messagesRefused: number;
  unknownPayloads: number;
  chunksSent: number;
}

/** All zero. */
export function zeroCounters(): HubCounters {
  return {
    streams: 0,
    superseded: 0,
    protocolErrors: 0,
    offersFull: 0,
    offersDiff: 0,
    offersUnchanged: 0,
    offersReference: 0,
    offersRanges: 0,
    compares: 0,
    offerSweeps: 0,
    indexRefused: 0,
    nacks: 0,
    factsRefused: 0,
    storeFailures: 0,
    messagesRefused: 0,
    unknownPayloads: 0,
    chunksSent: 0,
  };
}
