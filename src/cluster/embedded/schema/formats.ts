import { isIP } from "node:net";

const DURATION = /^[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const DURATION_WORDS =
  /^\d+\s*(?:ns|nanos?|us|micros?|ms|millis?|s|sec|secs|seconds?|m|min|mins|minutes?|h|hr|hours?|d|days?|w|weeks?)$/;
const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const HOSTNAME =
  /^(?=.{1,255}$)[A-Za-z0-9](?:[-A-Za-z0-9]{0,62}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]{0,62}[A-Za-z0-9])?)*\.?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const EMAIL = /^[^\s@]+@[^\s@]+$/;
const MAC = /^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i;

function isDate(value: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(`${value}T00:00:00Z`));
}

function isCidr(value: string): boolean {
  const [address, bits, rest] = value.split("/");
  const family = isIP(address ?? "");
  return (
    family !== 0 && rest === undefined && /^\d{1,3}$/.test(bits ?? "") && Number(bits) <= (family === 4 ? 32 : 128)
  );
}

/** Formats the API server checks (apiextensions supported formats); any other name is only documentation. */
const CHECKS: Readonly<Record<string, (value: string) => boolean>> = {
  "date-time": (value) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)),
  datetime: (value) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)),
  date: isDate,
  duration: (value) => DURATION.test(value) || DURATION_WORDS.test(value),
  email: (value) => EMAIL.test(value),
  hostname: (value) => HOSTNAME.test(value),
  ipv4: (value) => isIP(value) === 4,
  ipv6: (value) => isIP(value) === 6,
  cidr: isCidr,
  mac: (value) => MAC.test(value),
  // A path is a URI too (Go's url.ParseRequestURI).
  uri: (value) => (value.startsWith("/") ? URL.canParse(value, "http://host") : URL.canParse(value)),
  uuid: (value) => UUID.test(value),
  byte: (value) => BASE64.test(value),
};

/** True when `value` has the named format or the format is not one that is checked. */
export function hasFormat(format: string, value: string): boolean {
  return CHECKS[format]?.(value) ?? true;
}
