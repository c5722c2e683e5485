/** What directed scenarios switch off for a while: answers to requests, bodies, stores, and the whole process when it dies. */
export interface SwitchedOff {
  answers: boolean;
  /** Altered bodies are found to be altered before they are sent. */
  altered: boolean;
  bodies: boolean;
  loads: boolean;
  /** Loaded sessions have a term below the agent's. */
  terms: boolean;
  stores: boolean;
  /** Time that the process stays down when it dies, milliseconds. */
  processMs: number | undefined;
  /** Time that loading a session takes, milliseconds. */
  loadMs: number | undefined;
  /** Time that the sink takes, milliseconds. */
  sinkMs: number | undefined;
  /** Length of the text in news of drift. */
  driftText: number | undefined;
}

/** Everything works. */
export function nothingOff(): SwitchedOff {
  return {
    answers: false,
    altered: false,
    bodies: false,
    loads: false,
    terms: false,
    stores: false,
    processMs: undefined,
    loadMs: undefined,
    sinkMs: undefined,
    driftText: undefined,
  };
}
