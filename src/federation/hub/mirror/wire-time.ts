import { rfc3339Seconds } from "../../../base/clock.ts";

/** Latest time RFC 3339 can say with four digits of year, Unix milliseconds. */
const LATEST_MS = Date.UTC(9999, 11, 31);

/** Kubernetes time of a wire time (Unix milliseconds, 0 = unset); undefined when unset or nonsense. */
export function kubernetesTime(unixMs: bigint): string | undefined {
  const ms = Number(unixMs);
  return ms > 0 && ms < LATEST_MS ? rfc3339Seconds(ms) : undefined;
}

/** A wire counter as a JSON number; counters that left the safe range are an error of the sender and read as 0. */
export function safeNumber(value: bigint): number {
  const number = Number(value);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
}
