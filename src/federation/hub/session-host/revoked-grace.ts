import type { HostScope } from "./host-scope.ts";

/** Longest a revoked cluster keeps its stream, to acknowledge its revocation, milliseconds (lessons §6.4: within 1 s). */
const REVOKED_GRACE_MS = 500;
/** Pause between two looks whether it has, milliseconds. */
const REVOKED_LOOK_MS = 20;

/** Resolves when a revoked cluster has said that it dropped what it holds, or has had its time for that. */
export async function revokedGrace({ cluster, shared }: HostScope): Promise<void> {
  const { clock, revocations } = shared.options;
  const endMs = clock.monotonic() + REVOKED_GRACE_MS;
  let told = false;
  while (clock.monotonic() < endMs) {
    const waits = revocations.pending(cluster, 0n).some(({ target }) => target === "Cluster");
    if (told && !waits) return;
    told ||= waits;
    await clock.sleep(REVOKED_LOOK_MS);
  }
}
