/** Fields of one log line. Never secrets, never bodies: ids, versions, digests, counts. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log as a parameter; pino has this shape (fields first, then the message). */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  child(fields: LogFields): Log;
}

/** Drops everything; for tests and benches. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};
