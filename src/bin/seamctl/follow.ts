import type { CommandContext } from "./context.ts";
import { isUnreachable } from "./unreachable.ts";

/** Pause before a lost stream is opened again, milliseconds. */
const REOPEN_MS = 1_000;

/**
 * Shows every message of a stream until Ctrl-C. A stream that is lost after it had begun, as when the hub is started again, is opened
 * again, and the person is told once per loss; one that cannot be opened at all fails.
 */
export async function follow<T>(
  context: CommandContext,
  open: () => AsyncIterable<T>,
  show: (message: T) => void,
): Promise<void> {
  let begun = false;
  let told = false;
  while (!context.signal.aborted) {
    try {
      for await (const message of open()) {
        begun = true;
        told = false;
        show(message);
      }
    } catch (error) {
      if (context.signal.aborted) return;
      if (!begun || !isUnreachable(error)) throw error;
      if (!told) context.output.err("seamctl: lost the hub; trying again until Ctrl-C");
      told = true;
    }
    try {
      await context.clock.sleep(REOPEN_MS, context.signal);
    } catch {
      return; // Ctrl-C while waiting
    }
  }
}
