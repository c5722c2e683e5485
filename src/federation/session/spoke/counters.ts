/** Counts of one agent's life in this process, for metrics. */
export interface SpokeCounters {
  dials: number;
  welcomes: number;
  protocolErrors: number;
  indexAccepted: number;
  indexRefused: number;
  needFull: number;
  handlersRun: number;
  nacks: number;
  quarantined: number;
  digestMismatches: number;
  chunksIgnored: number;
  factsSent: number;
  factsRefused: number;
  auditBatchesSent: number;
  unknownPayloads: number;
}

/** All zero. */
export function zeroCounters(): SpokeCounters {
  return {
    dials: 0,
    welcomes: 0,
    protocolErrors: 0,
    indexAccepted: 0,
    indexRefused: 0,
    needFull: 0,
    handlersRun: 0,
    nacks: 0,
    quarantined: 0,
    digestMismatches: 0,
    chunksIgnored: 0,
    factsSent: 0,
    factsRefused: 0,
    auditBatchesSent: 0,
    unknownPayloads: 0,
  };
}
