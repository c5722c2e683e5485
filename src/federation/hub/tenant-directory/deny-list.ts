import type { ConfigMapObject } from "../../../api/builtin.ts";
import { normalizeSerial } from "../../../trust/identity/certificate-serial.ts";

/** ConfigMap in `ont-system` with what must not connect (R-4.3, lessons §6.4). */
export const DENY_LIST_NAME = "federation-denied";
/** Data key: certificate serials, one per line; text after `#` is for people. */
export const DENIED_SERIALS = "serials";
/** Data key: cluster ids, one per line. */
export const DENIED_CLUSTERS = "clusters";

/** What must not connect. */
export interface DenyList {
  /** Normalised serials. */
  readonly serials: ReadonlySet<string>;
  readonly clusters: ReadonlySet<string>;
}

/** Denies nothing. */
export const EMPTY_DENY_LIST: DenyList = { serials: new Set(), clusters: new Set() };

/** Reads the ConfigMap; an absent one denies nothing. */
export function readDenyList(configMap: ConfigMapObject | undefined): DenyList {
  if (configMap === undefined) return EMPTY_DENY_LIST;
  return {
    serials: new Set(lines(configMap.data?.[DENIED_SERIALS]).map(normalizeSerial)),
    clusters: new Set(lines(configMap.data?.[DENIED_CLUSTERS])),
  };
}

/** `text` with one more line, unless an entry says the same. */
export function withDenied(text: string | undefined, entry: string, remark: string): string {
  const held = text ?? "";
  if (lines(held).includes(entry)) return held;
  const separator = held === "" || held.endsWith("\n") ? "" : "\n";
  return `${held}${separator}${entry} # ${remark.replaceAll(/\s+/g, " ")}\n`;
}

function lines(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split("\n")
    .map((line) => (line.split("#")[0] ?? "").trim())
    .filter((line) => line !== "");
}
