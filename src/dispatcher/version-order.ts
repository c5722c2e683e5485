/** A version that is compared more than once. */
export interface ParsedVersion {
  readonly text: string;
  /** Undefined when the text is no SemVer. */
  readonly parts: Version | undefined;
}

interface Version {
  readonly core: readonly [number, number, number];
  /** Pre-release identifiers; empty for a release. */
  readonly pre: readonly string[];
  /** `-r<digits>`: a revision after the release; 0 when absent. */
  readonly revision: number;
}

const SEMVER = /^v?(\d{1,15})\.(\d{1,15})\.(\d{1,15})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;
const REVISION = /^(?:(.*)-)?r(\d{1,15})$/;

/**
 * Orders pack versions (dispatcher §5.7): SemVer 2.0 precedence, where a suffix `-r<digits>` is a revision after the release, every
 * other pre-release sorts below it, and build metadata is ignored. Undefined when one of them is no SemVer and they differ.
 */
export function compareVersions(a: string, b: string): number | undefined {
  return compareParsed(parseVersion(a), parseVersion(b));
}

/** Reads a version for {@link compareParsed}. */
export function parseVersion(text: string): ParsedVersion {
  return { text, parts: parse(text) };
}

/** As {@link compareVersions}. */
export function compareParsed(a: ParsedVersion, b: ParsedVersion): number | undefined {
  if (a.text === b.text) return 0;
  const [left, right] = [a.parts, b.parts];
  if (left === undefined || right === undefined) return undefined;
  for (let i = 0; i < 3; i++) {
    const order = Math.sign((left.core[i] ?? 0) - (right.core[i] ?? 0));
    if (order !== 0) return order;
  }
  return comparePre(left.pre, right.pre) || Math.sign(left.revision - right.revision);
}

function parse(text: string): Version | undefined {
  const match = SEMVER.exec(text);
  if (match === null) return undefined;
  const suffix = match[4] ?? "";
  const revision = REVISION.exec(suffix);
  const pre = revision === null ? suffix : (revision[1] ?? "");
  return {
    core: [Number(match[1]), Number(match[2]), Number(match[3])],
    pre: pre === "" ? [] : pre.split("."),
    revision: revision === null ? 0 : Number(revision[2]),
  };
}

/** SemVer 2.0 §11: a pre-release is lower than its release; identifiers compare one by one, numbers below words. */
function comparePre(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return Math.sign(b.length - a.length);
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const left = a[i];
    const right = b[i];
    if (left === undefined) return -1;
    if (right === undefined) return 1;
    const order = compareIdentifier(left, right);
    if (order !== 0) return order;
  }
  return 0;
}

function compareIdentifier(a: string, b: string): number {
  const left = /^\d+$/.test(a);
  const right = /^\d+$/.test(b);
  if (left && right) return Math.sign(Number(a) - Number(b));
  if (left !== right) return left ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
