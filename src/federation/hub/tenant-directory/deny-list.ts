import type { ConfigMapObject } from "../../../api/builtin.ts";
import { normalizeSerial } from "../../../trust/identity/certificate-serial.ts";

/** ConfigMap in `ont-system` with what must not connect (R-4.3, lessons §6.4). */
export const DENY_LIST_NAME = "federation-denied";
/** Data key: certificate serials, one per line; text after `#` is for people. */
export const DENIED_SERIALS = "serials";
/** Data key: cluster ids, one per line. */
export const DENIED_CLUSTERS = "clusters";

/** One line of the deny list. */
export interface DeniedEntry {
  readonly entry: string;
  /** What stands behind `#`, for people. */
  readonly remark: string;
}

/** What must not connect. */
export interface DenyList {
  /** Normalised serials. */
  readonly serials: ReadonlySet<string>;
  readonly clusters: ReadonlySet<string>;
  /** The lines of the serials, normalised. */
  readonly serialEntries: readonly DeniedEntry[];
}

/** Denies nothing. */
export const EMPTY_DENY_LIST: DenyList = { serials: new Set(), clusters: new Set(), serialEntries: [] };

/** Reads the ConfigMap; an absent one denies nothing. */
export function readDenyList(configMap: ConfigMapObject | undefined): DenyList {
  if (configMap === undefined) return EMPTY_DENY_LIST;
  const serialEntries = entries(configMap.data?.[DENIED_SERIALS]).map(({ entry, remark }) => ({
    entry: normalizeSerial(entry),
    remark,
  }));
  return {
    serials: new Set(serialEntries.map(({ entry }) => entry)),
    clusters: new Set(entries(configMap.data?.[DENIED_CLUSTERS]).map(({ entry }) => entry)),
    serialEntries,
  };
}

/** `text` with one more line, unless an entry says the same. */
export function withDenied(text: string | undefined, entry: string, remark: string): string {
  const held = text ?? "";
  if (entries(held).some((line) => line.entry === entry)) return held;
  const separator = held === "" || held.endsWith("\n") ? "" : "\n";
  return `${held}${separator}${entry} # ${remark.replaceAll(/\s+/g, " ")}\n`;
}

function entries(text: string | undefined): readonly DeniedEntry[] {
  return (text ?? "")
    .split("\n")
    .map((line) => {
      const at = line.indexOf("#");
      const end = at < 0 ? line.length : at;
      return { entry: line.slice(0, end).trim(), remark: line.slice(end + 1).trim() };
    })
    .filter(({ entry }) => entry !== "");
}
