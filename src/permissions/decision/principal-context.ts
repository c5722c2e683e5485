/** Who is asked about, with all groups the decision may use. */
export interface PrincipalContext {
  readonly user: string;
  /** Given and derived groups. */
  readonly groups: readonly string[];
}

/** Most names an answer lists. */
export const MAX_CONDITIONAL_NAMES = 100;

/** True while a binding with this RFC 3339 end (empty: none) is in force. */
export function inForce(expiresAt: string, nowMs: number): boolean {
  return expiresAt === "" || Date.parse(expiresAt) > nowMs;
}
