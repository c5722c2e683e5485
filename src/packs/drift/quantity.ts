import type { JsonValue } from "../../base/json.ts";

const QUANTITY = /^([+-]?)(\d{1,18})?(?:\.(\d{0,9}))?(?:([eE][+-]?\d{1,2})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;
const DECIMAL_EXPONENT: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY_POWER: Readonly<Record<string, bigint>> = { Ki: 1n, Mi: 2n, Gi: 3n, Ti: 4n, Pi: 5n, Ei: 6n };
/** Digits after the point of the result: nano, the finest unit of a quantity, squared for fractions of it. */
const SCALE = 18;

/** Value of a Kubernetes quantity in units of 10^-18; undefined when the text is none. */
export function quantityValue(value: JsonValue): bigint | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const match = QUANTITY.exec(String(value));
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent, suffix] = match;
  if (whole === "" && fraction === "") return undefined;
  const power = exponent === undefined ? (DECIMAL_EXPONENT[suffix ?? ""] ?? 0) : Number(exponent.slice(1));
  const shift = SCALE + power - fraction.length;
  if (shift < 0 || shift > 120) return undefined;
  const magnitude = BigInt(whole + fraction) * 10n ** BigInt(shift) * 1024n ** (BINARY_POWER[suffix ?? ""] ?? 0n);
  return sign === "-" ? -magnitude : magnitude;
}

/** True when both are quantities of the same value, for example `1000m` and `1`. */
export function sameQuantity(a: JsonValue, b: JsonValue): boolean {
  const left = quantityValue(a);
  return left !== undefined && left === quantityValue(b);
}

const QUANTITY_MAPS = new Set([
  "limits",
  "requests",
  "capacity",
  "hard",
  "default",
  "defaultRequest",
  "min",
  "max",
  "overhead",
]);
const QUANTITY_FIELDS = new Set(["sizeLimit", "divisor", "averageValue", "storage"]);

/** True for a field that holds a quantity, by its place: the member of a resource map, or a field of that meaning. */
export function isQuantityPath(path: readonly string[]): boolean {
  const field = path.at(-1) ?? "";
  const parent = path.at(-2) ?? "";
  return QUANTITY_MAPS.has(parent) || QUANTITY_FIELDS.has(field);
}
