import { isIP } from "node:net";
import type { Environment } from "@marcbachmann/cel-js";
import { compilePattern } from "../re2-pattern.ts";
import { registerNamedFormats } from "./named-formats.ts";
import { Quantity } from "./quantity.ts";

/** Receiver of `sets.contains(…)` and its like. */
class Sets {
  /** Makes the class nominal: nothing else is a set library. */
  readonly library = "sets";
}

/** What `ip("…")` gives. */
class Address {
  readonly text: string;
  readonly family: number;

  constructor(text: string) {
    this.text = text;
    this.family = isIP(text);
  }
}

/** Longest input a regular expression of a rule is tried on. */
const MAX_MATCH_INPUT = 64 * 1024;

function regex(source: string, input: string): RegExp {
  const pattern = compilePattern(source);
  if (!pattern) throw new Error(`invalid regular expression ${JSON.stringify(source)}`);
  if (input.length > MAX_MATCH_INPUT) throw new Error("the string is too long to be matched");
  return pattern;
}

function quantityOf(text: string): Quantity {
  const quantity = Quantity.parse(text);
  if (!quantity) throw new Error(`${JSON.stringify(text)} is not a quantity`);
  return quantity;
}

function urlOf(text: string): URL {
  // Go's url.ParseRequestURI also takes absolute paths.
  return new URL(text, text.startsWith("/") ? "path://" : undefined);
}

function compare(a: unknown, b: unknown): number {
  if (
    typeof a === typeof b &&
    (typeof a === "bigint" || typeof a === "number" || typeof a === "string" || typeof a === "boolean")
  ) {
    return a < (b as typeof a) ? -1 : a > (b as typeof a) ? 1 : 0;
  }
  const [left, right] = [Number(a), Number(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === typeof b && typeof a !== "object" && compare(a, b) === 0);
}

function extreme(list: readonly unknown[], sign: number): unknown {
  if (list.length === 0) throw new Error("min or max called on an empty list");
  return list.reduce((best, item) => (compare(item, best) * sign > 0 ? item : best));
}

function sum(list: readonly (bigint | number)[]): bigint | number {
  if (list.every((item) => typeof item === "bigint")) return list.reduce((total, item) => total + item, 0n);
  return list.reduce<number>((total, item) => total + Number(item), 0);
}

function isCidr(text: string): boolean {
  const [address, bits, rest] = text.split("/");
  const family = isIP(address ?? "");
  return (
    family !== 0 && rest === undefined && /^\d{1,3}$/.test(bits ?? "") && Number(bits) <= (family === 4 ? 32 : 128)
  );
}

/** Registers the CEL functions Kubernetes adds to the standard ones (CEL in Kubernetes, "CEL options, language features and libraries"). */
export function registerKubernetesFunctions(environment: Environment): Environment {
  environment
    .registerType("Quantity", { ctor: Quantity, fields: {} })
    .registerType("URL", { ctor: URL, fields: {} })
    .registerType("Sets", { ctor: Sets, fields: {} })
    .registerType("IP", { ctor: Address, fields: {} })
    .registerConstant("sets", "Sets", new Sets());
  registerStrings(environment);
  registerLists(environment);
  registerQuantities(environment);
  registerNetwork(environment);
  registerNamedFormats(environment);
  return environment;
}

/** `"%s is %d".format([…])` of the CEL strings library, without width and precision. */
function formatText(template: string, values: readonly unknown[]): string {
  let next = 0;
  return template.replaceAll(/%([%sdfbxXo])/g, (_, verb: string) => {
    if (verb === "%") return "%";
    if (next >= values.length) throw new Error("format: too few arguments");
    const value = values[next++];
    switch (verb) {
      case "x":
        return typeof value === "bigint" ? value.toString(16) : Buffer.from(text(value)).toString("hex");
      case "X":
        return (
          typeof value === "bigint" ? value.toString(16) : Buffer.from(text(value)).toString("hex")
        ).toUpperCase();
      case "o":
        return typeof value === "bigint" ? value.toString(8) : text(value);
      case "b":
        return typeof value === "bigint" ? value.toString(2) : text(value);
      case "f":
        return Number(value).toFixed(6);
      default:
        return text(value);
    }
  });
}

/** A CEL value as `%s` shows it. */
function text(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(text).join(", ")}]`;
  if (value instanceof Map) return `{${Array.from(value, ([key, item]) => `${text(key)}: ${text(item)}`).join(", ")}}`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "string") return value;
  if (typeof value === "bigint" || typeof value === "number" || typeof value === "boolean") return value.toString();
  return JSON.stringify(value) ?? "null";
}

function registerStrings(environment: Environment): void {
  environment
    .registerFunction("string.matchesRe2(string): bool", (text: string, pattern: string) =>
      regex(pattern, text).test(text),
    )
    .registerFunction(
      "string.find(string): string",
      (text: string, pattern: string) => regex(pattern, text).exec(text)?.[0] ?? "",
    )
    .registerFunction("string.findAll(string): list<string>", (text: string, pattern: string) =>
      Array.from(text.matchAll(new RegExp(regex(pattern, text), "g")), (match) => match[0]),
    )
    .registerFunction("string.findAll(string, int): list<string>", (text: string, pattern: string, limit: bigint) =>
      Array.from(text.matchAll(new RegExp(regex(pattern, text), "g")), (match) => match[0]).slice(
        0,
        limit < 0n ? undefined : Number(limit),
      ),
    )
    .registerFunction("string.format(list): string", formatText)
    .registerFunction("string.charAt(int): string", (text: string, index: bigint) => text.charAt(Number(index)))
    .registerFunction("string.replace(string, string): string", (text: string, from: string, to: string) =>
      text.split(from).join(to),
    )
    .registerFunction(
      "string.replace(string, string, int): string",
      (text: string, from: string, to: string, limit: bigint) => {
        let result = text;
        let start = 0;
        for (let left = limit < 0n ? Number.MAX_SAFE_INTEGER : Number(limit); left > 0; left--) {
          const at = result.indexOf(from, start);
          if (at < 0 || from === "") break;
          result = result.slice(0, at) + to + result.slice(at + from.length);
          start = at + to.length;
        }
        return result;
      },
    );
}

function registerLists(environment: Environment): void {
  environment
    .registerFunction("list.isSorted(): bool", (list: readonly unknown[]) =>
      list.every((item, i) => i === 0 || compare(list[i - 1], item) <= 0),
    )
    .registerFunction("list.sum(): dyn", sum)
    .registerFunction("list.min(): dyn", (list: readonly unknown[]) => extreme(list, -1))
    .registerFunction("list.max(): dyn", (list: readonly unknown[]) => extreme(list, 1))
    .registerFunction("list.indexOf(dyn): int", (list: readonly unknown[], item: unknown) =>
      BigInt(list.findIndex((other) => same(other, item))),
    )
    .registerFunction("list.lastIndexOf(dyn): int", (list: readonly unknown[], item: unknown) =>
      BigInt(list.findLastIndex((other) => same(other, item))),
    )
    .registerFunction("Sets.contains(list, list): bool", (_: Sets, list: readonly unknown[], sub: readonly unknown[]) =>
      sub.every((item) => list.some((other) => same(other, item))),
    )
    .registerFunction("Sets.intersects(list, list): bool", (_: Sets, a: readonly unknown[], b: readonly unknown[]) =>
      a.some((item) => b.some((other) => same(other, item))),
    )
    .registerFunction(
      "Sets.equivalent(list, list): bool",
      (_: Sets, a: readonly unknown[], b: readonly unknown[]) =>
        a.every((item) => b.some((other) => same(other, item))) &&
        b.every((item) => a.some((other) => same(other, item))),
    );
}

function registerQuantities(environment: Environment): void {
  environment
    .registerFunction("quantity(string): Quantity", quantityOf)
    .registerFunction("isQuantity(string): bool", (text: string) => Quantity.parse(text) !== undefined)
    .registerFunction("Quantity.isGreaterThan(Quantity): bool", (a: Quantity, b: Quantity) => a.compareTo(b) > 0n)
    .registerFunction("Quantity.isLessThan(Quantity): bool", (a: Quantity, b: Quantity) => a.compareTo(b) < 0n)
    .registerFunction("Quantity.compareTo(Quantity): int", (a: Quantity, b: Quantity) => a.compareTo(b))
    .registerFunction("Quantity.sign(): int", (a: Quantity) => a.compareTo(new Quantity(0n)))
    .registerFunction("Quantity.isInteger(): bool", (a: Quantity) => a.isInteger)
    .registerFunction("Quantity.asInteger(): int", (a: Quantity) => a.integer)
    .registerFunction("Quantity.asApproximateFloat(): double", (a: Quantity) => a.approximate)
    .registerFunction("Quantity.add(Quantity): Quantity", (a: Quantity, b: Quantity) => new Quantity(a.nanos + b.nanos))
    .registerFunction(
      "Quantity.sub(Quantity): Quantity",
      (a: Quantity, b: Quantity) => new Quantity(a.nanos - b.nanos),
    );
}

function registerNetwork(environment: Environment): void {
  environment
    .registerFunction("url(string): URL", urlOf)
    .registerFunction("isURL(string): bool", (text: string) =>
      URL.canParse(text, text.startsWith("/") ? "path://" : undefined),
    )
    .registerFunction("URL.getScheme(): string", (url: URL) =>
      url.protocol === "path:" ? "" : url.protocol.slice(0, -1),
    )
    .registerFunction("URL.getHost(): string", (url: URL) => url.host)
    .registerFunction("URL.getHostname(): string", (url: URL) => url.hostname.replaceAll(/^\[|\]$/g, ""))
    .registerFunction("URL.getPort(): string", (url: URL) => url.port)
    .registerFunction("URL.getEscapedPath(): string", (url: URL) => url.pathname)
    .registerFunction("isIP(string): bool", (text: string) => isIP(text) !== 0)
    .registerFunction("ip(string): IP", (text: string) => {
      if (isIP(text) === 0) throw new Error(`${JSON.stringify(text)} is not an IP address`);
      return new Address(text);
    })
    .registerFunction("IP.family(): int", (address: Address) => BigInt(address.family))
    .registerFunction("isCIDR(string): bool", isCidr);
}
