import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  WatchSnapshotRequest,
  WatchSnapshotResponseSchema,
} from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import type { CallContext } from "../../api/grpc/call-context.ts";
import type { Clock } from "../../base/clock.ts";
import { ulid } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { HeldSnapshot, SnapshotReader } from "../store/snapshot-reader.ts";
import { hasQueryRight, isOperator } from "./caller.ts";
import { AnswerMetas } from "./answer-meta.ts";
import { type SnapshotChanges, snapshotChanges } from "./snapshot-changes.ts";

/** What a watch needs. */
export interface WatchSnapshotParts {
  readonly store: SnapshotReader;
  readonly clock: Clock;
  readonly random: Random;
}

type Message = MessageInitShape<typeof WatchSnapshotResponseSchema>;

/**
 * The current version first (unless the caller has it), then every change of version or freshness. A slow reader gets the newest
 * state, never a queue: what it missed in between makes `all_changed` true.
 */
export async function* watchSnapshot(
  request: WatchSnapshotRequest,
  context: CallContext,
  parts: WatchSnapshotParts,
): AsyncGenerator<Message> {
  const { store, clock, random } = parts;
  const metas = new AnswerMetas();
  let wake = (): void => {};
  const stop = store.subscribe(() => wake());
  const onAbort = (): void => wake();
  context.signal.addEventListener("abort", onAbort);
  let sent: { readonly snapshot: HeldSnapshot | undefined; readonly freshness: string } | undefined;
  try {
    while (!context.signal.aborted) {
      const state = store.state();
      const snapshot = store.current;
      const meta = metas.of(snapshot, state, ulid(clock, random));
      const first = sent === undefined;
      const known = first && request.lastToken !== "" && request.lastToken === meta.consistencyToken;
      const same = sent?.snapshot?.statement.version === snapshot?.statement.version;
      if (!known && (first || !same || sent?.freshness !== state.freshness)) {
        const changes: SnapshotChanges =
          same || first ? { all: false, principals: [] } : changesSince(sent?.snapshot, store);
        yield { meta, ...visible(changes, context, snapshot, clock.now()) };
      }
      sent = { snapshot, freshness: state.freshness };
      if (!context.signal.aborted && store.current === snapshot && store.state().freshness === state.freshness)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    stop();
    context.signal.removeEventListener("abort", onAbort);
  }
}

function changesSince(sent: HeldSnapshot | undefined, store: SnapshotReader): SnapshotChanges {
  const { current } = store;
  if (current === undefined || sent === undefined) return { all: true };
  return snapshotChanges(sent.index.content, current.index.content);
}

/** Names of others are for those who may list them. */
function visible(
  changes: SnapshotChanges,
  context: CallContext,
  snapshot: HeldSnapshot | undefined,
  nowMs: number,
): Pick<Message, "changedPrincipals" | "allChanged"> {
  if (changes.all) return { allChanged: true };
  const caller = context.principal;
  if (caller === undefined) return { allChanged: changes.principals.length > 0 };
  const seesAll =
    isOperator(caller) || (snapshot !== undefined && hasQueryRight(snapshot.index, caller, "list", nowMs));
  if (seesAll) return { changedPrincipals: [...changes.principals] };
  const own = new Set([caller.name, ...caller.groups]);
  return { changedPrincipals: changes.principals.filter((principal) => own.has(principal)) };
}
