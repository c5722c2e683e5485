import type { Unstructured } from "../api/object.ts";

/** One line that a container wrote. */
export interface LogLine {
  /** When it was written, Unix milliseconds. */
  readonly atMs: number;
  /** Without the line end. */
  readonly text: string;
}

/** What one container wrote: the recorded part, and what it goes on to write. */
export interface ContainerLog {
  /** Recorded lines, oldest first; whoever records bounds them. */
  readonly lines: readonly LogLine[];
  /** Lines written after {@link lines}, until the container has ended or `signal` aborts. */
  follow(signal: AbortSignal): AsyncIterable<LogLine>;
}

/** Where the logs of pods are: whoever runs their containers. */
export interface PodLogs {
  /**
   * @param pod as it is stored, with the container in its spec
   * @param previous the run before the present one of a restarted container
   * @returns undefined when this container has not started, or has no previous run
   */
  open(pod: Unstructured, container: string, previous: boolean): Promise<ContainerLog | undefined>;
}
