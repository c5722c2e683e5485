import { assertNever } from "../../base/assert.ts";
import { type OutboxRequest, isWrite } from "./outbox-request.ts";
import type { OutboxStore } from "./outbox-store.ts";

/** How a request ended. */
export type OutboxOutcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

/** Most requests in one group: bounds the time to the first answer, and how long the event loop is held. */
export const MAX_GROUP = 64;

/**
 * Performs requests in their order, all writes of the group in one transaction. A member that is refused undoes only itself;
 * when the commit fails, every write of the group is answered with its error and none is kept.
 */
export function performGroup(store: OutboxStore, requests: readonly OutboxRequest[]): readonly OutboxOutcome[] {
  const [only] = requests;
  if (only !== undefined && requests.length === 1) return [performAlone(store, only)];
  const outcomes: OutboxOutcome[] = [];
  const transactional = requests.some(isWrite);
  let groupFailure: unknown;
  try {
    if (transactional) store.begin();
  } catch (error) {
    groupFailure = error;
  }
  for (const request of requests) {
    if (groupFailure !== undefined) {
      outcomes.push({ ok: false, error: groupFailure });
      continue;
    }
    try {
      const value = isWrite(request) ? store.member(() => perform(store, request)) : perform(store, request);
      outcomes.push({ ok: true, value });
    } catch (error) {
      outcomes.push({ ok: false, error });
      if (transactional && !store.grouped) groupFailure = error;
    }
  }
  if (!transactional) return outcomes;
  if (groupFailure === undefined) {
    try {
      store.commit();
      return outcomes;
    } catch (error) {
      groupFailure = error;
    }
  }
  store.rollback();
  // Reads of the group may have seen what is now undone, so they fail with it.
  return requests.map(() => ({ ok: false, error: groupFailure }));
}

/** A group of one: what undoes the member undoes the transaction. */
function performAlone(store: OutboxStore, request: OutboxRequest): OutboxOutcome {
  try {
    if (!isWrite(request)) return { ok: true, value: perform(store, request) };
    store.begin();
    const value = perform(store, request);
    store.commit();
    return { ok: true, value };
  } catch (error) {
    if (isWrite(request)) store.rollback();
    return { ok: false, error };
  }
}

function perform(store: OutboxStore, request: OutboxRequest): unknown {
  switch (request.op) {
    case "apply":
      store.apply(request.writes, request.nowMs);
      return undefined;
    case "putFact":
      return store.putFact(request.key, request.kind, request.payload);
    case "appendAudit":
      return store.appendAudit(request.events, request.nowMs);
    case "record":
      return store.record();
    case "loadFacts":
      return store.loadFacts(request.keys);
    case "loadAudit":
      return store.loadAudit(request.epoch, request.from, request.maxEvents, request.maxBytes);
    case "readChunks":
      return store.readChunks(request.digest, request.from, request.most);
    case "readBlob":
      return store.readBlob(request.digest);
    case "auditCursor":
      return store.auditCursor();
    case "status":
      return store.status();
    default:
      return assertNever(request);
  }
}
