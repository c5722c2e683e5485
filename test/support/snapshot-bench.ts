import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ManualClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { ruleOf } from "../../src/permissions/rules/rule.ts";
import type { SnapshotContent } from "../../src/permissions/snapshot/content.ts";
import { SnapshotRefused } from "../../src/permissions/snapshot/snapshot-failure.ts";
import { type SnapshotStore, openSnapshotStore } from "../../src/permissions/store/snapshot-store.ts";
import type { KeyRing } from "../../src/trust/keyring/key-ring.ts";
import { WORLD_NOW_MS, ruleSetOf } from "../oracle/permission-worlds.ts";
import type { SignedSnapshot, TestKey } from "../oracle/signed-snapshots.ts";

/** A snapshot store on a directory of its own, which may be opened again and again. Closed with the test. */
export interface SnapshotBench {
  readonly clock: ManualClock;
  /** Of the store; its parent goes with the test. */
  readonly directory: string;
  /** Opens the store, after closing the one that is open. */
  open(ring?: KeyRing, clock?: ManualClock): Promise<SnapshotStore>;
  close(): Promise<void>;
}

/** @param at where the store's directory goes; default a new temporary one */
export async function snapshotBench(key: TestKey, at?: string): Promise<SnapshotBench> {
  const parent = at ?? (await mkdtemp(join(tmpdir(), "snapshot-store-")));
  const directory = join(parent, "snapshot");
  const clock = new ManualClock(WORLD_NOW_MS);
  let stop = new AbortController();
  let store: SnapshotStore | undefined;
  const close = async (): Promise<void> => {
    stop.abort();
    await store?.closed;
  };
  onTestFinished(async () => {
    await close();
    await rm(at === undefined ? parent : directory, { recursive: true, force: true });
  });
  return {
    clock,
    directory,
    close,
    async open(ring = key.ring, own = clock) {
      await close();
      stop = new AbortController();
      const { signal } = stop;
      store = await openSnapshotStore({
        directory,
        cluster: "tenant-1",
        keys: ring,
        clock: own,
        log: silentLog,
        signal,
      });
      return store;
    },
  };
}

/** Offers a snapshot: its kind when it was activated, else the code of its refusal. */
export async function offer(store: SnapshotStore, { envelope, content }: SignedSnapshot): Promise<string> {
  try {
    const prepared = await store.prepare(envelope, () => Promise.resolve(content));
    await store.activate(prepared);
    return prepared.kind;
  } catch (error) {
    if (error instanceof SnapshotRefused) return error.code;
    throw error;
  }
}

/** Whether `alice` may use the verb on pods by what the store serves. */
export function may(store: SnapshotStore, verb: string): boolean {
  const request = { verb, apiGroup: "", resource: "pods", subresource: "", name: "", namespace: "" };
  return store.current?.index.decide("alice", [], { form: "resource", ...request }, WORLD_NOW_MS) === "allowed";
}

/** Content by which `alice` may use one verb on pods. */
export function oneGrant(verb: string): SnapshotContent {
  const set = ruleSetOf([ruleOf({ verbs: [verb], apiGroups: [""], resources: ["pods"] })]);
  const source = { profileNamespace: "seam-system", profileName: "p", declaration: 0, permissionSet: "s", policy: "" };
  const binding = { ruleSet: set.id, scope: "cluster", namespaces: [], expiresAt: "", source } as const;
  return {
    schemaVersion: 2,
    targetCluster: "tenant-1",
    ceilings: {},
    ruleSets: [set],
    subjects: [{ kind: "User", namespace: "", name: "alice", principalRef: "alice", bindings: [binding] }],
    profiles: [],
    suspendedPrincipals: [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}
