import { OutboxStore } from "./outbox-store.ts";
import type { OutboxStoreOptions } from "./outbox-store-options.ts";
import { type StoreRecovery, finishRecovery, recoverStore } from "./recover-store.ts";
import { isCorrupt } from "./store-error.ts";

/**
 * Opens the store; a damaged one is put aside, and what could be read of its audit log goes on in another.
 *
 * @param nowMs wall time, for what is put aside
 * @throws SeamError as {@link OutboxStore.open}; `StoreCorrupt` when a damaged store cannot be put aside
 */
export function openOrRecover(
  options: OutboxStoreOptions,
  nowMs: number,
): { readonly store: OutboxStore; readonly recovery: StoreRecovery | undefined } {
  finishRecovery(options.path);
  try {
    return { store: OutboxStore.open(options), recovery: undefined };
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    const recovery = recoverStore(options, nowMs);
    return { store: OutboxStore.open(options), recovery };
  }
}
