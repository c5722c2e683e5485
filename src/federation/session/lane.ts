/** Lanes of one stream, most urgent first (lessons §1.3). One writer drains them in this order. */
export const LANES = ["revocation", "heartbeat", "acknowledgement", "delete", "command", "update", "bulk"] as const;

/** One of {@link LANES}. */
export type Lane = (typeof LANES)[number];

/** True for lanes that may use the reserved part of the window, and more bytes than update and bulk. */
export function isUrgent(lane: Lane): boolean {
  return lane !== "update" && lane !== "bulk";
}
