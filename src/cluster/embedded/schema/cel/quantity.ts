const SUFFIXES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  n: [1n, 1_000_000_000n],
  u: [1n, 1_000_000n],
  m: [1n, 1_000n],
  "": [1n, 1n],
  k: [10n ** 3n, 1n],
  M: [10n ** 6n, 1n],
  G: [10n ** 9n, 1n],
  T: [10n ** 12n, 1n],
  P: [10n ** 15n, 1n],
  E: [10n ** 18n, 1n],
  Ki: [2n ** 10n, 1n],
  Mi: [2n ** 20n, 1n],
  Gi: [2n ** 30n, 1n],
  Ti: [2n ** 40n, 1n],
  Pi: [2n ** 50n, 1n],
  Ei: [2n ** 60n, 1n],
};
const FORM =
  /^(?<sign>[+-]?)(?<whole>\d*)(?:\.(?<fraction>\d*))?(?:[eE](?<exponent>[+-]?\d{1,3})|(?<suffix>[numkMGTPE]|[KMGTPE]i)?)$/;
/** Values are kept in billionths, the finest a quantity has. */
const SCALE = 1_000_000_000n;

/** `resource.Quantity` as CEL rules compare it. */
export class Quantity {
  /** Billionths. */
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }

  /** Undefined when `text` is not a quantity. */
  static parse(text: string): Quantity | undefined {
    const parts = FORM.exec(text)?.groups;
    const digits = (parts?.["whole"] ?? "") + (parts?.["fraction"] ?? "");
    if (!parts || digits === "") return undefined;
    const [times, per] = SUFFIXES[parts["suffix"] ?? ""] ?? [1n, 1n];
    const exponent = Number(parts["exponent"] ?? 0) - (parts["fraction"]?.length ?? 0);
    let nanos = (BigInt(digits) * times * SCALE) / per;
    nanos = exponent >= 0 ? nanos * 10n ** BigInt(exponent) : nanos / 10n ** BigInt(-exponent);
    return new Quantity(parts["sign"] === "-" ? -nanos : nanos);
  }

  compareTo(other: Quantity): bigint {
    return this.nanos < other.nanos ? -1n : this.nanos > other.nanos ? 1n : 0n;
  }

  get isInteger(): boolean {
    return this.nanos % SCALE === 0n;
  }

  get integer(): bigint {
    return this.nanos / SCALE;
  }

  get approximate(): number {
    return Number(this.nanos) / Number(SCALE);
  }
}
