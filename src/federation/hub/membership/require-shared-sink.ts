import type { Clock } from "../../../base/clock.ts";
import { SeamError } from "../../../base/errors.ts";
import type { ReplicaDirectory } from "./replica-directory.ts";
import type { ReplicaRecord } from "./replica-record.ts";

/** How often the other replicas are looked at again while this one waits for them to go, milliseconds. */
const LOOK_MS = 250;
/** How often this replica looks for itself, milliseconds: a watch tells in a few. */
const OWN_LOOK_MS = 10;

/**
 * Several replicas need one audit sink, or each would hold a part of every log. Waits for replicas with another sink to go, since a
 * process that was killed is a member until its membership ends, and refuses to join beside one that stays.
 *
 * @param waitMs longest wait: a little more than a membership lasts
 * @throws SeamError `AuditSinkNotShared`; the signal's reason
 */
export async function requireSharedSink(
  own: { readonly replica: string; readonly auditSink: string },
  replicas: ReplicaDirectory,
  waitMs: number,
  parts: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const { clock, signal } = parts;
  const giveUpMs = clock.monotonic() + waitMs;
  for (;;) {
    const stranger = strangerTo(own, replicas.alive());
    if (stranger === undefined) return;
    if (clock.monotonic() >= giveUpMs) throw notShared(own, stranger);
    await clock.sleep(LOOK_MS, signal);
  }
}

/**
 * Looks once more after joining: two that started in the same moment saw nobody before. The one whose name sorts later gives way.
 *
 * @throws SeamError `AuditSinkNotShared`; the signal's reason
 */
export async function requireNoRival(
  own: { readonly replica: string; readonly auditSink: string; readonly identity: string },
  replicas: ReplicaDirectory,
  parts: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  // Whoever is seen here joined before this replica was seen, by the order of the watch.
  while (replicas.byIdentity(own.identity) === undefined) await parts.clock.sleep(OWN_LOOK_MS, parts.signal);
  const stranger = strangerTo(own, replicas.alive());
  if (stranger !== undefined && stranger.replica < own.replica) throw notShared(own, stranger);
}

/** A living replica with another audit sink; undefined when there is none. */
export function strangerTo(
  own: { readonly replica: string; readonly auditSink: string },
  alive: readonly ReplicaRecord[],
): ReplicaRecord | undefined {
  return alive.find(({ replica, auditSink }) => replica !== own.replica && auditSink !== own.auditSink);
}

function notShared(own: { readonly replica: string; readonly auditSink: string }, other: ReplicaRecord): SeamError {
  return new SeamError({
    reason: "AuditSinkNotShared",
    object: `hub replica ${own.replica}`,
    field: "audit sink",
    expected: `must be the one that replica ${other.replica} stores to (${other.auditSink || "unknown"}), found ${own.auditSink}`,
    remedy:
      "a SQLite sink serves one replica: run one, or give all of them the same PostgreSQL (AUDIT_SINK_URL, docs/replicas.md)",
  });
}
